// This module is browser compatible.

/**
 * Graphs that go on from something that was made before.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { Artifact } from "../artifacts/artifact.ts";
import { snapshotStep } from "../stages/denoise/snapshot.ts";
import type { StepInterval } from "../stages/denoise/step_interval.ts";
import type { TilingOptions } from "../models/architecture.ts";
import type { GraphDocumentInput, GraphInput, GraphNode } from "./document.ts";
import { splitSource } from "./plan.ts";
import type { Provenance } from "./provenance.ts";

/** Changes from some step on, and how far to go. */
export interface ResumeChanges {
  /** Steps that are taken as they were. */
  readonly fromStep?: number | undefined;
  /** Steps to take before resting again. */
  readonly stepsMore?: number | undefined;
  /** How far the prompt pulls from there on. */
  readonly guidanceScale?: number | undefined;
  /** The part of all steps that are guided, as far as they come after it. */
  readonly guidanceInterval?: StepInterval | undefined;
  /** The prompts from there on. */
  readonly prompts?: readonly string[] | undefined;
  /** What the pictures should not show from there on, for all prompts or for each. */
  readonly negativePrompt?: string | readonly string[] | undefined;
  /** Other seeds: one for all pictures, or one for each. */
  readonly seeds?: readonly (number | string)[] | undefined;
  /** Another autoencoder. */
  readonly vae?: string | undefined;
  /** How pictures are cut while they are decoded. */
  readonly tiling?: TilingOptions["tiling"] | undefined;
  /** Side of a blended tile in pixels. */
  readonly tileSize?: number | undefined;
  /** Pixels that blended tiles share. */
  readonly tileOverlap?: number | undefined;
  /** Whether latents are decoded. */
  readonly decode: boolean;
}

/** Something that was made before. */
export interface ResumePoint {
  /** How it was made. */
  readonly provenance: Provenance;
  /** Its kind and metadata, where they are at hand; those of a picture otherwise. */
  readonly artifact?: Pick<Artifact, "kind" | "metadata"> | undefined;
  /** How a graph names it. */
  readonly input?: Exclude<GraphInput, string>;
}

/** A graph, and the output of it that is wanted. */
export interface ResumeGraph {
  /** The graph. */
  readonly graph: GraphDocumentInput;
  /** The output: `decode.image`. */
  readonly wanted: string;
}

type Nodes = Record<string, GraphNode>;

/**
 * Writes the graph that goes on from something: embeddings are denoised and decoded, latents decoded, a state of
 * denoising goes on where it stands, and a finished denoising can go on from one of its steps in another way.
 *
 * @param point What was made before.
 * @param options How to go on.
 * @returns The graph.
 * @throws {InputError} if it cannot go on in that way.
 */
export function resumeGraph(point: ResumePoint, options: ResumeChanges): ResumeGraph {
  const { graph, output } = point.provenance;
  if (typeof output !== "string") {
    throw new InputError("invalid_value", "Cannot go on from what was given, not made");
  }
  const nodes: Nodes = { ...graph.nodes };
  const [maker, port] = splitSource(output);
  if (!Object.hasOwn(nodes, maker)) {
    throw new InputError("unknown_node", `Cannot go on from ${output} as its graph has no node "${maker}"`);
  }
  const kind = point.artifact?.kind ?? "image";
  const changed = options.fromStep !== undefined || isChanged(options);
  if (kind === "checkpoint") {
    const end = goOnFromState(nodes, maker, point, options);
    return options.stepsMore === undefined
      ? decoded(nodes, `${maker}.latents`, options)
      : { graph: { ...graph, nodes }, wanted: end };
  }
  if (options.stepsMore !== undefined) {
    throw new InputError(
      "invalid_value",
      "Cannot take steps more as only a state of denoising can stop again",
    );
  }
  if (options.seeds !== undefined && kind !== "embeddings") {
    if (changed) {
      throw new InputError("invalid_value", "Cannot change the seed on the way: a step has a seed already");
    }
    const denoise = upstream(nodes, maker, "denoise");
    if (denoise === undefined) {
      throw new InputError("invalid_value", "Cannot take another seed: the latents were given, not denoised");
    }
    for (const id of partsOf(nodes, denoise)) nodes[id] = withSeeds(nodes[id]!, options.seeds);
    return decoded(nodes, `${denoise}.latents`, options, upstream(nodes, maker, "decode"));
  }
  if (changed) {
    const denoise = kind === "embeddings" ? undefined : upstream(nodes, maker, "denoise");
    const fromStep = options.fromStep;
    if (denoise === undefined || fromStep === undefined) {
      throw new InputError(
        "invalid_value",
        "Cannot change guidance or prompt as a step must be given, and latents or a picture that were denoised",
      );
    }
    goOnOtherwise(nodes, denoise, fromStep, options);
    return decoded(nodes, `${denoise}.latents`, options, upstream(nodes, maker, "decode"));
  }
  if (kind === "embeddings") {
    const { model, variant } = nodes[upstream(nodes, maker, "encode") ?? ""]?.parameters ?? {};
    const parameters = { model, ...(variant === undefined ? {} : { variant }) };
    const denoise = { stage: "denoise", parameters, inputs: { embeddings: point.input! } };
    nodes["denoise"] = options.seeds === undefined ? denoise : withSeeds(denoise, options.seeds);
    return decoded(nodes, "denoise.latents", options);
  }
  if (kind === "latents") {
    if (!options.decode) {
      throw new InputError("invalid_value", "Cannot go on from latents without decoding: they are finished");
    }
    return decoded(nodes, `${maker}.${port}`, options);
  }
  const made = nodes[maker];
  if (made?.stage === "decode" && (options.vae !== undefined || Object.keys(tilingOf(options)).length > 0)) {
    const parameters = options.vae === undefined ? made.parameters : { model: options.vae };
    const node = { ...made, parameters: { ...parameters, ...tilingOf(options) } };
    return { graph: { pixstage: 1, nodes: { ...nodes, [maker]: node } }, wanted: `${maker}.image` };
  }
  throw new InputError(
    "invalid_value",
    "Cannot go on from a picture as it is finished: give a step to go on from, another seed, another autoencoder or " +
      "another tiling, or run it again",
  );
}

/** A denoising with other seeds: as many pictures for each prompt as there are seeds, where there are several. */
function withSeeds(denoise: GraphNode, seeds: readonly (number | string)[]): GraphNode {
  return { ...denoise, parameters: { ...denoise.parameters, seeds: [...seeds] } };
}

/** A denoising, and the parts that it goes on from. */
function partsOf(nodes: Nodes, id: string): string[] {
  const source = nodes[id]?.inputs["checkpoint"];
  return [id, ...(typeof source === "string" ? partsOf(nodes, splitSource(source)[0]) : [])];
}

function isChanged({ guidanceScale, guidanceInterval, prompts, negativePrompt }: ResumeChanges): boolean {
  return [guidanceScale, guidanceInterval, prompts, negativePrompt].some((change) => change !== undefined);
}

/** Lets the node that a state is of go on, and gives its output. */
function goOnFromState(
  nodes: Nodes,
  id: string,
  { artifact, input }: ResumePoint,
  options: ResumeChanges,
): string {
  const maker = nodes[id]!;
  const { stopAfter: _steps, denoisingEnd: _end, ...parameters } = maker.parameters;
  const { fromStep, stepsMore } = options;
  if (maker.stage === "denoise") {
    // A run that was interrupted: the store has its state under the key of the same node.
    if (stepsMore !== undefined) {
      throw new InputError(
        "invalid_value",
        "Cannot take steps more as the state is of an interrupted run: go on to its end",
      );
    }
    if (fromStep !== undefined || isChanged(options)) {
      goOnOtherwise(nodes, id, fromStep ?? snapshotStep(artifact!), options);
    }
    return `${id}.latents`;
  }
  if (fromStep !== undefined) {
    throw new InputError(
      "invalid_value",
      "Cannot go on from another step than that of the state: leave the step out",
    );
  }
  const inputs = { checkpoint: input!, ...laterEmbeddings(nodes, id, options) };
  const later = withChanges(parameters, options);
  if (stepsMore === undefined) {
    nodes[id] = { stage: "denoise", parameters: later, inputs };
    return `${id}.latents`;
  }
  const stopAfter = snapshotStep(artifact!) + stepsMore;
  nodes[id] = { stage: "denoise-part", parameters: { ...later, stopAfter }, inputs };
  return `${id}.checkpoint`;
}

/** Cuts a denoising in two after some steps, the second part with what is to be different. */
function goOnOtherwise(nodes: Nodes, id: string, fromStep: number, options: ResumeChanges): void {
  const whole = nodes[id]!;
  const taken = Object.keys(nodes).filter((name) => name.startsWith(`${id}-begin`)).length;
  const begin = taken === 0 ? `${id}-begin` : `${id}-begin-${taken + 1}`;
  const embeddings = laterEmbeddings(nodes, id, options);
  nodes[begin] = {
    stage: "denoise-part",
    parameters: { ...whole.parameters, stopAfter: fromStep },
    inputs: whole.inputs,
  };
  nodes[id] = {
    stage: "denoise",
    parameters: withChanges(whole.parameters, options),
    inputs: { checkpoint: `${begin}.checkpoint`, ...embeddings },
  };
}

function withChanges(parameters: GraphNode["parameters"], options: ResumeChanges): GraphNode["parameters"] {
  const { guidanceScale, guidanceInterval } = options;
  return {
    ...parameters,
    ...(guidanceScale === undefined ? {} : { guidanceScale }),
    ...(guidanceInterval === undefined ? {} : { guidanceInterval }),
    ...(isChanged(options) ? { allowChanges: true } : {}),
  };
}

/** Nodes that encode other prompts in the way that the prompts of a denoising were encoded. */
function laterEmbeddings(
  nodes: Nodes,
  denoise: string,
  changes: ResumeChanges,
): Record<string, GraphInput> {
  if (!isChanged(changes)) return {};
  const { prompts, negativePrompt } = changes;
  const texts = negativePrompt === undefined ? undefined : [negativePrompt].flat();
  const sources = textSources(nodes, denoise);
  if (!sources) {
    if (prompts === undefined && texts === undefined) return {};
    throw new InputError(
      "invalid_value",
      "Cannot change the prompt as the embeddings were given: it is not known how to encode it",
    );
  }
  const { embeddings, negative } = sources;
  return {
    embeddings: prompts === undefined ? embeddings : encodeAgain(nodes, embeddings, prompts, "prompt-later"),
    // Without guidance nothing had a negative prompt: then the checkpoint's own stands beside the prompts.
    negative: texts === undefined && negative !== undefined
      ? negative
      : encodeAgain(nodes, negative ?? embeddings, texts, "negative-later"),
  };
}

/** The prompts and negative prompts of a denoising, or of the one whose state it goes on from, where nodes encode them. */
function textSources(
  nodes: Nodes,
  denoise: string,
): { readonly embeddings: GraphInput; readonly negative: GraphInput | undefined } | undefined {
  const { embeddings, negative, checkpoint } = nodes[denoise]?.inputs ?? {};
  if (embeddings === undefined && typeof checkpoint === "string") {
    return textSources(nodes, splitSource(checkpoint)[0]);
  }
  if (typeof embeddings !== "string") return undefined;
  const pair = nodes[splitSource(embeddings)[0]];
  if (pair?.stage !== "pair") return { embeddings, negative };
  return { embeddings: pair.inputs["positive"]!, negative: pair.inputs["negative"] };
}

function encodeAgain(
  nodes: Nodes,
  source: GraphInput,
  prompts: readonly string[] | undefined,
  name: string,
): GraphInput {
  const [id, port] = typeof source === "string" ? splitSource(source) : ["", ""];
  const encode = nodes[id];
  if (encode?.stage !== "encode") {
    throw new InputError(
      "invalid_value",
      "Cannot change the prompt as the embeddings were given: it is not known how to encode it",
    );
  }
  const { prompts: _before, ...parameters } = encode.parameters;
  nodes[name] = {
    ...encode,
    parameters: prompts === undefined ? parameters : { ...parameters, prompts: [...prompts] },
  };
  return `${name}.${port}`;
}

/** Lets latents be decoded, as they were decoded before, else by the autoencoder of the checkpoint. */
function decoded(
  nodes: Nodes,
  latents: string,
  options: ResumeChanges,
  before?: string | undefined,
): ResumeGraph {
  const { decode, vae } = options;
  if (!decode) return { graph: { pixstage: 1, nodes }, wanted: latents };
  const { model, variant } = nodes[splitSource(latents)[0]]!.parameters;
  const own = { model, ...(variant === undefined ? {} : { variant }) };
  const id = before ?? "decode";
  const node = before !== undefined && vae === undefined
    ? nodes[before]!
    : { stage: "decode", parameters: vae === undefined ? own : { model: vae }, inputs: { latents } };
  nodes[id] = { ...node, parameters: { ...node.parameters, ...tilingOf(options) } };
  return { graph: { pixstage: 1, nodes }, wanted: `${id}.image` };
}

/** How pictures are to be cut, as far as that is to be different. */
function tilingOf({ tiling, tileSize, tileOverlap }: ResumeChanges): GraphNode["parameters"] {
  return {
    ...(tiling === undefined ? {} : { tiling }),
    ...(tileSize === undefined ? {} : { tileSize }),
    ...(tileOverlap === undefined ? {} : { tileOverlap }),
  };
}

/** The nearest node of a stage that a node depends on, itself included. */
function upstream(nodes: Nodes, id: string, stage: string): string | undefined {
  const waiting = [id];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const node = nodes[next];
    if (node?.stage === stage) return next;
    for (const source of Object.values(node?.inputs ?? {})) {
      if (typeof source === "string") waiting.push(splitSource(source)[0]);
    }
  }
  return undefined;
}
