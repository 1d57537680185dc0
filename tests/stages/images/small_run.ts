/**
 * Runs from an input picture of the reference, shared by the tests.
 *
 * @module
 */

import assert from "node:assert/strict";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import type { Tensor } from "../../../artifacts/tensor.ts";
import type { GraphDocumentInput } from "../../../graph/document.ts";
import { runGraph } from "../../../graph/run.ts";
import { textToImage, type TextToImageOptions } from "../../../graph/text_to_image.ts";
import { localRun } from "../../../local.ts";
import { goldenPath } from "../../goldens.ts";
import { inputPath } from "./picture_goldens.ts";

const local = localRun();

/** The checkpoint. */
export const model: string = goldenPath("checkpoints/tiny-alpha-512");
/** The picture. */
export const image = { file: inputPath("shapes-75x53") };
/** Mask of the picture. */
export const mask = { file: inputPath("mask-soft-75x53") };
/** A small request without guidance. */
export const small = { model, height: 32, width: 48, resolutionBinning: false, steps: 6, guidanceScale: 1 };

/** Runs a graph, and returns the id and the values of an output. */
export async function output(graph: GraphDocumentInput, name: string, store = new MemoryStore()) {
  const made = await runGraph(graph, { ...local, store, until: name.split(".")[0] });
  const { id, artifact } = made.get(name)!;
  return { id, artifact, latents: artifact.tensors["latents"] as Tensor<"float32"> };
}

/** Asserts that a run which is stopped twice ends with the same bytes as an uninterrupted one. */
export async function goesOn(
  scheduler: string,
  pictures: Pick<TextToImageOptions, "image" | "mask">,
): Promise<void> {
  const store = new MemoryStore();
  const request = {
    ...small,
    prompts: ["cute cat"],
    scheduler,
    strength: 0.7,
    imagesPerPrompt: 2,
    seeds: [3],
  };
  // The size is left out because the snapshot contains it.
  const { height: _height, width: _width, ...sizeless } = request;
  const graph = textToImage(request, pictures);
  const whole = await output(graph, "denoise.latents", store);
  const denoise = graph.nodes["denoise"]!;
  const parameters = textToImage(sizeless, pictures).nodes["denoise"]!.parameters!;
  const nodes = {
    ...graph.nodes,
    early: { ...denoise, stage: "denoise-part", parameters: { ...parameters, stopAfter: 1 } },
    late: {
      stage: "denoise-part",
      parameters: { ...parameters, stopAfter: 3 },
      inputs: { checkpoint: "early.checkpoint" },
    },
    denoise: { stage: "denoise", parameters, inputs: { checkpoint: "late.checkpoint" } },
  };
  const parts = await output({ pixstage: 1, nodes }, "denoise.latents", store);
  assert.equal(parts.id, whole.id, `${scheduler} ${Object.keys(pictures)}`);
}
