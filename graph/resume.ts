// This module is browser compatible.

/**
 * Graphs that continue from an existing artifact.
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

/** The changes for the remaining steps, the step from which they apply, and the number of steps to take. */
export interface ResumeChanges {
  /** Number of steps to keep unchanged. */
  readonly fromStep?: number | undefined;
  /** Number of steps to run before stopping again. */
  readonly stepsMore?: number | undefined;
  /** Guidance scale for the remaining steps. */
  readonly guidanceScale?: number | undefined;
  /** The range of all steps with guidance. It applies to the remaining steps. */
  readonly guidanceInterval?: StepInterval | undefined;
  /** Prompts for the remaining steps. */
  readonly prompts?: readonly string[] | undefined;
  /** What the pictures should not show in the remaining steps, one text for all prompts or one for each. */
  readonly negativePrompt?: string | readonly string[] | undefined;
  /** Other seeds: one for all pictures, or one for each. A snapshot keeps its own. */
  readonly seeds?: readonly (number | string)[] | undefined;
  /** Another autoencoder. */
  readonly vae?: string | undefined;
  /** How pictures are tiled when they are decoded. */
  readonly tiling?: TilingOptions["tiling"] | undefined;
  /** Side of a blended tile in pixels. */
  readonly tileSize?: number | undefined;
  /** Overlap of blended tiles in pixels. */
  readonly tileOverlap?: number | undefined;
  /** Whether to decode the latents. */
  readonly decode: boolean;
}

/** An existing artifact. */
export interface ResumePoint {
  /** How the artifact was made. */
  readonly provenance: Provenance;
  /** The artifact's kind and metadata, if known. The default is those of a picture. */
  readonly artifact?: Pick<Artifact, "kind" | "metadata"> | undefined;
  /**
   * The artifact as an input of a graph. Embeddings and snapshots need it. Latents without it are made again.
   */
  readonly input?: Exclude<GraphInput, string> | undefined;
}

/** A graph, and the output to run it for. */
export interface ResumeGraph {
  /** The graph. */
  readonly graph: GraphDocumentInput;
  /** The output, e.g. `decode.image`. */
  readonly wanted: string;
}

type Nodes = Record<string, GraphNode>;

/**
 * Writes the graph that continues from an artifact. Embeddings are denoised and decoded, and latents are
 * decoded. A snapshot continues where it stopped. A finished denoising can branch off from one of its steps
 * with other settings.
 *
 * @param point The artifact to continue from.
 * @param options How to continue.
 * @returns The graph.
 * @throws {InputError} if the artifact cannot be continued in that way.
 */
export function resumeGraph(point: ResumePoint, options: ResumeChanges): ResumeGraph {
  return onlyNeeded(wholeGraph(point, options));
}

/** Writes the graph next to the nodes that made the artifact, whether they are needed or not. */
function wholeGraph(point: ResumePoint, options: ResumeChanges): ResumeGraph {
  const { graph, output } = point.provenance;
  if (typeof output !== "string") {
    throw new InputError(
      "invalid_value",
      "Cannot continue from an artifact without lineage: no stage made it",
    );
  }
  const nodes: Nodes = { ...graph.nodes };
  const [maker, port] = splitSource(output);
  if (!Object.hasOwn(nodes, maker)) {
    throw new InputError("unknown_node", `Cannot continue from ${output}: its graph has no node "${maker}"`);
  }
  const kind = point.artifact?.kind ?? "image";
  const changed = options.fromStep !== undefined || isChanged(options);
  if (kind === "checkpoint") {
    if (options.seeds !== undefined) {
      throw new InputError(
        "invalid_value",
        "Cannot change the seed of a snapshot because its steps already used one: leave the seed out, or denoise " +
          "again from the beginning",
        { details: { field: "seeds" } },
      );
    }
    const end = goOnFromState(nodes, maker, point, options);
    return options.stepsMore === undefined
      ? decoded(nodes, `${maker}.latents`, options)
      : { graph: { ...graph, nodes }, wanted: end };
  }
  if (options.stepsMore !== undefined) {
    throw new InputError(
      "invalid_value",
      "Cannot run a number of further steps: only a denoising that was stopped can stop again",
    );
  }
  if (options.seeds !== undefined && kind !== "embeddings") {
    if (changed) {
      throw new InputError(
        "invalid_value",
        "Cannot change the seed midway: the steps so far already have one",
      );
    }
    const denoise = upstream(nodes, maker, "denoise");
    if (denoise === undefined) {
      throw new InputError(
        "invalid_value",
        "Cannot use another seed: the latents were not denoised but read from a file",
      );
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
        "Cannot change guidance or prompt: this needs a step to branch off from, and denoised latents or their picture",
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
      throw new InputError(
        "invalid_value",
        "Cannot continue from latents without decoding: they are finished",
      );
    }
    return decodedFrom(nodes, maker, point.input ?? `${maker}.${port}`, options);
  }
  const made = nodes[maker];
  if (made?.stage === "decode" && (options.vae !== undefined || Object.keys(tilingOf(options)).length > 0)) {
    const parameters = options.vae === undefined ? made.parameters : { model: options.vae };
    const node = { ...made, parameters: { ...parameters, ...tilingOf(options) } };
    return { graph: { pixstage: 1, nodes: { ...nodes, [maker]: node } }, wanted: `${maker}.image` };
  }
  throw new InputError(
    "invalid_value",
    "Cannot continue from a picture because it is finished: give a step to continue from, another seed, another autoencoder or " +
      "another tiling, or run it again",
  );
}

/** Returns a denoise node with other seeds. Several seeds mean that many pictures for each prompt. */
function withSeeds(denoise: GraphNode, seeds: readonly (number | string)[]): GraphNode {
  return { ...denoise, parameters: { ...denoise.parameters, seeds: [...seeds] } };
}

/** A denoising, and the parts that it continues from. */
function partsOf(nodes: Nodes, id: string): string[] {
  const source = nodes[id]?.inputs["checkpoint"];
  return [id, ...(typeof source === "string" ? partsOf(nodes, splitSource(source)[0]) : [])];
}

function isChanged({ guidanceScale, guidanceInterval, prompts, negativePrompt }: ResumeChanges): boolean {
  return [guidanceScale, guidanceInterval, prompts, negativePrompt].some((change) => change !== undefined);
}

/** Lets the node that a snapshot belongs to continue, and returns its output. */
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
    // After an interrupted run, the store has the snapshot under the key of the same node.
    if (stepsMore !== undefined) {
      throw new InputError(
        "invalid_value",
        "Cannot run a number of further steps: the run was interrupted, so it continues to its end",
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
      "Cannot choose a step: a snapshot continues from its own. Leave the step out",
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

/** Splits a denoising in two after some steps. The changes apply to the second part. */
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

/** Adds nodes that encode other prompts in the same way as a denoising's own prompts. */
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
      "Cannot change the prompt: the embeddings come from a file, and how to encode the prompt is unknown",
    );
  }
  const { embeddings, negative } = sources;
  return {
    embeddings: prompts === undefined ? embeddings : encodeAgain(nodes, embeddings, prompts, "prompt-later"),
    // A run without guidance had no negative prompt. The checkpoint's own is used then.
    negative: texts === undefined && negative !== undefined
      ? negative
      : encodeAgain(nodes, negative ?? embeddings, texts, "negative-later"),
  };
}

/**
 * Returns the sources of a denoising's prompts and negative prompts if nodes encode them. A denoising that
 * continues from a snapshot uses those of the first part.
 */
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
      "Cannot change the prompt: the embeddings come from a file, and how to encode the prompt is unknown",
    );
  }
  const { prompts: _before, ...parameters } = encode.parameters;
  nodes[name] = {
    ...encode,
    parameters: prompts === undefined ? parameters : { ...parameters, prompts: [...prompts] },
  };
  return `${name}.${port}`;
}

/**
 * Adds or changes the node that decodes the latents. The default is the autoencoder of the earlier decoding,
 * or else the checkpoint's.
 */
function decoded(
  nodes: Nodes,
  latents: string,
  options: ResumeChanges,
  before?: string | undefined,
): ResumeGraph {
  if (!options.decode) return { graph: { pixstage: 1, nodes }, wanted: latents };
  return decodedFrom(nodes, splitSource(latents)[0], latents, options, before);
}

/** Adds or changes the node that decodes latents, which the node `maker` made. */
function decodedFrom(
  nodes: Nodes,
  maker: string,
  latents: GraphInput,
  options: ResumeChanges,
  before?: string | undefined,
): ResumeGraph {
  const { vae } = options;
  const { model, variant } = nodes[maker]!.parameters;
  const own = { model, ...(variant === undefined ? {} : { variant }) };
  const id = before ?? "decode";
  const node = before !== undefined && vae === undefined
    ? nodes[before]!
    : { stage: "decode", parameters: vae === undefined ? own : { model: vae }, inputs: { latents } };
  nodes[id] = { ...node, parameters: { ...node.parameters, ...tilingOf(options) } };
  return { graph: { pixstage: 1, nodes }, wanted: `${id}.image` };
}

/** Leaves out the nodes that the wanted output does not depend on, so that none of them runs again. */
function onlyNeeded({ graph, wanted }: ResumeGraph): ResumeGraph {
  const needed = new Set<string>();
  const waiting = [splitSource(wanted)[0]];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (needed.has(id)) continue;
    needed.add(id);
    for (const source of Object.values(graph.nodes[id]?.inputs ?? {})) {
      if (typeof source === "string") waiting.push(splitSource(source)[0]);
    }
  }
  const nodes = Object.entries(graph.nodes).filter(([id]) => needed.has(id));
  return { graph: { ...graph, nodes: Object.fromEntries(nodes) }, wanted };
}

/** Returns the tiling parameters that change. */
function tilingOf({ tiling, tileSize, tileOverlap }: ResumeChanges): GraphNode["parameters"] {
  return {
    ...(tiling === undefined ? {} : { tiling }),
    ...(tileSize === undefined ? {} : { tileSize }),
    ...(tileOverlap === undefined ? {} : { tileOverlap }),
  };
}

/** Returns the nearest node of a stage among a node and its dependencies. */
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
