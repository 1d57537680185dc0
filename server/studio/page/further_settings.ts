/**
 * The settings of a picture beyond its text, size and schedule: its input pictures, its adapters, and its
 * guidance.
 *
 * @module
 */

import { type Graph, type GraphNode, isRecord, nodeOf } from "./graph.ts";

/** Further settings. Those not given are absent. */
export interface FurtherSettings {
  /** Artifact id of the picture that it started from. */
  readonly image?: string | undefined;
  /** Artifact id of the mask. */
  readonly mask?: string | undefined;
  readonly softMask?: boolean | undefined;
  readonly strength?: number | undefined;
  readonly loras: readonly { readonly name: string; readonly weight: number }[];
  readonly controlnet?: string | undefined;
  /** Artifact id of the control picture. */
  readonly controlImage?: string | undefined;
  readonly controlScale?: number | undefined;
  readonly controlled?: readonly [number, number] | undefined;
  readonly pag?: number | undefined;
  readonly guided?: readonly [number, number] | undefined;
  readonly stepCache?: number | undefined;
  /** Whether the run uses an input that no request can name: a file, or upscaled latents. */
  readonly isBound: boolean;
}

/** Returns the further settings of a denoise node. */
export function furtherSettings(graph: Graph, { parameters, inputs }: GraphNode): FurtherSettings {
  const [image, isImageBound] = artifactBehind(graph, inputs["image"], "encode-image");
  const [mask, isMaskBound] = artifactBehind(graph, inputs["mask"], "mask");
  const [controlImage, isControlBound] = artifactBehind(graph, inputs["control"], "encode-image");
  const soft = graph.nodes[nodeOf(inputs["mask"]) ?? ""]?.parameters["soft"];
  return {
    image,
    mask,
    softMask: soft === true ? true : undefined,
    strength: numberOf(parameters["strength"]),
    loras: lorasOf(parameters["loras"]),
    controlnet: typeof parameters["controlnet"] === "string" ? parameters["controlnet"] : undefined,
    controlImage,
    controlScale: numberOf(parameters["controlnetScale"]),
    controlled: intervalOf(parameters["controlnetInterval"]),
    pag: numberOf(parameters["pagScale"]),
    guided: intervalOf(parameters["guidanceInterval"]),
    stepCache: numberOf(parameters["stepCache"]),
    isBound: isImageBound || isMaskBound || isControlBound,
  };
}

/**
 * Returns the artifact that a stage's node reads its picture from, and whether the input is anything else.
 */
function artifactBehind(
  graph: Graph,
  source: unknown,
  stage: string,
): [artifact: string | undefined, isBound: boolean] {
  if (source === undefined) return [undefined, false];
  const node = graph.nodes[nodeOf(source) ?? ""];
  const picture = node?.stage === stage ? node.inputs["image"] : undefined;
  const artifact = isRecord(picture) && typeof picture["artifact"] === "string"
    ? picture["artifact"]
    : undefined;
  return [artifact, artifact === undefined];
}

function lorasOf(value: unknown): FurtherSettings["loras"] {
  if (!Array.isArray(value)) return [];
  return value.filter(isRecord).flatMap(({ name, weight = 1 }) =>
    typeof name === "string" && typeof weight === "number" ? [{ name, weight }] : []
  );
}

function intervalOf(value: unknown): readonly [number, number] | undefined {
  if (!Array.isArray(value)) return undefined;
  const [start, end] = value;
  return typeof start === "number" && typeof end === "number" ? [start, end] : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
