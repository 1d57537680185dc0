/**
 * Graphs that go on from what a finished job made.
 *
 * @module
 */

import type { Graph, GraphNode, Job } from "./types.ts";

/** What there is of a job to go on from. */
export interface Origin {
  /** The node that denoised. */
  readonly denoise: GraphNode;
  /** The node that decoded. */
  readonly decode: GraphNode;
  /** The artifact of the text. */
  readonly embeddings: string;
  /** The artifact of the latents. */
  readonly latents: string;
  /** Denoising steps, as far as the graph tells. */
  readonly steps: number | undefined;
}

/** What there is of a job to go on from; undefined where it is no plain picture. */
export function originOf(job: Job): Origin | undefined {
  const nodes = Object.entries((job.graph as unknown as Graph).nodes);
  const [denoiseId, denoise] = nodes.findLast(([, { stage }]) => stage === "denoise") ?? [];
  const [, decode] = nodes.findLast(([, { stage }]) => stage === "decode") ?? [];
  if (!denoise || !decode || denoiseId === undefined) return undefined;
  const source = denoise.inputs?.["embeddings"];
  const embeddings = typeof source === "string" ? job.artifacts[source]?.id : source?.artifact;
  const latents = job.artifacts[`${denoiseId}.latents`]?.id;
  if (!embeddings || !latents) return undefined;
  const steps = denoise.parameters?.["steps"];
  return { denoise, decode, embeddings, latents, steps: typeof steps === "number" ? steps : undefined };
}

/** The same text with other seeds: nothing is encoded. */
export function withSeed({ denoise, decode, embeddings }: Origin, seed: string): Graph {
  return {
    pixstage: 1,
    nodes: {
      denoise: {
        stage: "denoise",
        parameters: { ...denoise.parameters, seeds: [seed] },
        inputs: { embeddings: { artifact: embeddings } },
      },
      decode: { ...decode, inputs: { latents: "denoise.latents" } },
    },
  };
}

/** The same latents with another decoder: nothing is denoised. */
export function withDecoder({ latents }: Origin, model: string): Graph {
  return {
    pixstage: 1,
    nodes: { decode: { stage: "decode", parameters: { model }, inputs: { latents: { artifact: latents } } } },
  };
}

/** What is changed from a step on. */
export interface Turn {
  /** The step. */
  readonly step: number;
  /** Another prompt; the same text if undefined. */
  readonly prompt?: string | undefined;
  /** The negative prompt that goes with another prompt. */
  readonly negative: string;
  /** Another guidance scale. */
  readonly guidance: number;
}

/** The same steps up to one, and another prompt or guidance from there on. */
export function fromStep({ denoise, decode, embeddings }: Origin, turn: Turn): Graph {
  const { step, prompt, negative, guidance } = turn;
  const { seeds, ...rest } = denoise.parameters ?? {};
  const parameters = { ...rest, ...(seeds ? { seeds } : {}) };
  const model = denoise.parameters?.["model"];
  const encode = (text: string): GraphNode => ({ stage: "encode", parameters: { model, prompts: [text] } });
  const text: Record<string, GraphNode> = prompt === undefined ? {} : {
    prompt: encode(prompt),
    negative: encode(negative),
    pair: { stage: "pair", inputs: { positive: "prompt.embeddings", negative: "negative.embeddings" } },
  };
  return {
    pixstage: 1,
    nodes: {
      ...text,
      begin: {
        stage: "denoise-part",
        parameters: { ...parameters, stopAfter: step },
        inputs: { embeddings: { artifact: embeddings } },
      },
      denoise: {
        stage: "denoise",
        parameters: { ...parameters, guidanceScale: guidance, allowChanges: true },
        inputs: {
          checkpoint: "begin.checkpoint",
          ...(prompt === undefined ? {} : { embeddings: "pair.embeddings" }),
        },
      },
      decode: { ...decode, inputs: { latents: "denoise.latents" } },
    },
  };
}
