/**
 * Reads the settings of a picture from its graph.
 *
 * @module
 */

import { type FurtherSettings, furtherSettings } from "./further_settings.ts";
import { type Graph, type GraphNode, nodeOf, readGraph, upstream } from "./graph.ts";
import type { Picture } from "./types.ts";

/** The settings of a picture. Those that the graph leaves to the model are absent. */
export interface Settings {
  readonly prompt?: string | undefined;
  readonly negativePrompt?: string | undefined;
  readonly model?: string | undefined;
  readonly seed?: string | undefined;
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly steps?: number | undefined;
  readonly scheduler?: string | undefined;
  readonly guidance?: number | undefined;
  /** The autoencoder, if it is not the model's own. */
  readonly vae?: string | undefined;
  /** The transformer of the last steps, if another one took the first steps. */
  readonly secondTransformer?: string | undefined;
  /** The fraction of the noise schedule after which the second transformer took over. */
  readonly switchedAt?: number | undefined;
  /** The settings of the first steps, if the picture continues another one. */
  readonly begun?: Begun | undefined;
  /** The input pictures, the adapters and the guidance. */
  readonly further: FurtherSettings;
  /** A request for only this picture; absent if only a graph can describe it. */
  readonly request?: Readonly<Record<string, unknown>> | undefined;
}

/** The settings of the first steps. */
export interface Begun {
  readonly steps?: number | undefined;
  readonly prompt?: string | undefined;
  readonly guidance?: number | undefined;
}

/** Selects a picture of a graph. */
export interface Wanted {
  /** The output that contains it. By default, that of the last denoise node. */
  readonly output?: unknown;
  /** Index of the picture in the output, from 0. */
  readonly image: number;
  /** The picture's seed, if known. */
  readonly seed?: string | undefined;
}

/** Denoise parameters that a request lacks, or has in another form. */
const INNER = new Set(["allowChanges", "stopAfter", "denoisingEnd", "precision"]);

/** Returns the settings of a picture; `undefined` if nothing was denoised for it. */
export function settingsOf(graph: Graph, { output, image, seed: known }: Wanted): Settings | undefined {
  const { nodes } = graph;
  const id = output === undefined
    ? Object.keys(nodes).findLast((node) => nodes[node]?.stage === "denoise")
    : upstream(graph, output, "denoise");
  const denoise = id === undefined ? undefined : nodes[id];
  if (!denoise) return undefined;
  const { parameters } = denoise;
  const begin = nodes[nodeOf(denoise.inputs["checkpoint"]) ?? ""];
  const [encode, negative] = texts(graph, denoise, begin);
  const perPrompt = numberOf(parameters["imagesPerPrompt"]) ?? 1;
  const textOf = (node: GraphNode | undefined): string | undefined => {
    const prompts = node?.parameters["prompts"];
    return Array.isArray(prompts)
      ? stringOf(prompts[Math.floor(image / perPrompt)] ?? prompts[0])
      : undefined;
  };
  const seed = known ?? seedOf(parameters["seeds"], image);
  const decode = nodes[upstream(graph, output, "decode") ?? ""];
  const decoder = stringOf(decode?.parameters["model"]);
  const model = stringOf(parameters["model"]);
  const prompt = textOf(encode);
  const negativePrompt = textOf(negative);
  const vae = decoder === model ? undefined : decoder;
  const further = furtherSettings(graph, { ...denoise, inputs: { ...begin?.inputs, ...denoise.inputs } });
  const switchedAt = parameters["allowChanges"] === true
    ? undefined
    : numberOf(begin?.parameters["denoisingEnd"]);
  const settings: Settings = {
    further,
    prompt,
    negativePrompt,
    model,
    seed,
    width: numberOf(parameters["width"]),
    height: numberOf(parameters["height"]),
    steps: numberOf(parameters["steps"]),
    scheduler: stringOf(parameters["scheduler"]),
    guidance: numberOf(parameters["guidanceScale"]),
    vae,
    secondTransformer: switchedAt === undefined ? undefined : stringOf(parameters["transformer"]),
    switchedAt,
  };
  if (begin && switchedAt === undefined) {
    const [first] = texts(graph, begin, undefined);
    return {
      ...settings,
      begun: {
        steps: numberOf(begin.parameters["stopAfter"]),
        prompt: textOf(first),
        guidance: numberOf(begin.parameters["guidanceScale"]),
      },
    };
  }
  if (prompt === undefined || seed === undefined || further.isBound || "noise" in denoise.inputs) {
    return settings;
  }
  const own = Object.entries(begin?.parameters ?? parameters).filter(([name]) => !INNER.has(name));
  const { cleanCaption, maxSequenceLength, precision: encoding } = encode?.parameters ?? {};
  const { tiling, tileSize, tileOverlap } = decode?.parameters ?? {};
  const precision = given({
    encode: encoding === "float32" ? undefined : encoding,
    denoise: parameters["precision"] === "float32" ? undefined : parameters["precision"],
  });
  const request = {
    ...Object.fromEntries(own),
    prompts: [prompt],
    negativePrompt,
    seeds: [seed],
    imagesPerPrompt: 1,
    cleanCaption,
    maxSequenceLength,
    vae,
    image: further.image,
    mask: further.mask,
    softMask: further.softMask,
    controlImage: further.controlImage,
    secondTransformer: settings.secondTransformer,
    secondTransformerFrom: switchedAt,
    precision: Object.keys(precision).length === 0 ? undefined : precision,
    tiling,
    tileSize,
    tileOverlap,
  };
  return { ...settings, request: given(request) };
}

/** Returns the settings of a picture of a job. */
export function settingsOfPicture({ job, index }: Picture): Settings | undefined {
  const graph = readGraph(job.graph);
  if (!graph) return undefined;
  const image = job.images[index];
  const [output] = Object.entries(job.artifacts).find(([, { id }]) => id === image?.artifact) ?? [];
  const wanted = { output, image: image?.image ?? index, seed: image?.seed ?? undefined };
  const settings = settingsOf(graph, wanted);
  return settings &&
    { ...settings, width: image?.width ?? settings.width, height: image?.height ?? settings.height };
}

/**
 * Returns the nodes that encode the prompts and the negative prompts of a denoise node, or of the one that it
 * continues.
 */
function texts(
  graph: Graph,
  { inputs }: GraphNode,
  begin: GraphNode | undefined,
): [prompt: GraphNode | undefined, negative: GraphNode | undefined] {
  const { embeddings = begin?.inputs["embeddings"], negative = begin?.inputs["negative"] } = inputs;
  const pair = graph.nodes[upstream(graph, embeddings, "pair") ?? ""]?.inputs;
  const node = (source: unknown): GraphNode | undefined =>
    graph.nodes[upstream(graph, source, "encode") ?? ""];
  return pair ? [node(pair["positive"]), node(pair["negative"])] : [node(embeddings), node(negative)];
}

/**
 * Returns the seed of a picture. There is one seed per picture, or one for the first, to which the picture's
 * number is added.
 */
function seedOf(seeds: unknown, image: number): string | undefined {
  if (!Array.isArray(seeds)) return undefined;
  const own = String(seeds.length > 1 ? seeds[image] : seeds[0]);
  if (!/^-?\d+$/.test(own)) return undefined;
  return seeds.length > 1 ? own : String(BigInt(own) + BigInt(image));
}

function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function stringOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
