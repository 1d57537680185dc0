// This module is browser compatible.

/**
 * Provenance of one picture out of several that were made together.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../errors/pixstage_error.ts";
import { parseValue } from "../errors/parse_value.ts";
import { denoiseParameters, imageSeeds } from "../stages/denoise/settings.ts";
import type { GraphNode } from "./document.ts";
import type { Provenance } from "./provenance.ts";

const { seeds, imagesPerPrompt } = denoiseParameters.shape;
const batchSchema = z.object({ seeds, imagesPerPrompt });
const textsSchema = z.object({ prompts: z.array(z.string()).min(1).optional() });

/**
 * Returns the provenance that one picture of several would have if it had been made alone, with its own
 * prompt and its own seed.
 *
 * @param provenance How the pictures were made.
 * @param image Index of the picture.
 * @returns The provenance of that picture.
 * @throws {InputError} if there is no such picture, or if the graph reads embeddings or latents from a file.
 */
export function onePicture(provenance: Provenance, image: number): Provenance {
  const { graph } = provenance;
  // All pictures share the initial picture, so each picture alone starts from it too.
  const given = Object.values(graph.nodes).filter(({ stage }) => stage !== "encode-image" && stage !== "mask")
    .flatMap(({ inputs }) => Object.values(inputs))
    .some((source) => typeof source !== "string");
  if (given) {
    throw new InputError(
      "invalid_value",
      "Cannot single out one of several pictures that start from a file: continue from all of them",
    );
  }
  const nodes = Object.values(graph.nodes);
  const texts = Math.max(1, ...nodes.filter(isEncode).map((node) => prompts(node).length));
  const perPrompt = Math.max(1, ...nodes.filter(isDenoise).map((node) => batch(node).imagesPerPrompt));
  const alone = (node: GraphNode): GraphNode => {
    if (isDenoise(node)) {
      const all = imageSeeds(batch(node).seeds, texts * perPrompt);
      const seed = all[image];
      if (seed === undefined) {
        const message = `There is no picture ${image}: there are ${all.length}, numbered from 0`;
        throw new InputError("out_of_range", message, { details: { field: "image" } });
      }
      return { ...node, parameters: { ...node.parameters, seeds: [String(seed)], imagesPerPrompt: 1 } };
    }
    const text = isEncode(node) && texts > 1 ? prompts(node)[Math.floor(image / perPrompt)] : undefined;
    return text === undefined ? node : { ...node, parameters: { ...node.parameters, prompts: [text] } };
  };
  const changed = Object.entries(graph.nodes).map(([id, node]) => [id, alone(node)] as const);
  return { ...provenance, graph: { ...graph, nodes: Object.fromEntries(changed) } };
}

function isEncode({ stage }: GraphNode): boolean {
  return stage === "encode";
}

function isDenoise({ stage }: GraphNode): boolean {
  return stage === "denoise" || stage === "denoise-part";
}

function batch({ parameters }: GraphNode): z.infer<typeof batchSchema> {
  return parseValue(batchSchema, parameters, refuse);
}

function prompts({ parameters }: GraphNode): readonly string[] {
  return parseValue(textsSchema, parameters, refuse).prompts ?? [];
}

function refuse({ clause }: { readonly clause: string }): InputError {
  return new InputError("invalid_value", `Cannot read the lineage of the pictures: ${clause}`);
}
