// This module is browser compatible.

import { z } from "zod";
import type { Artifact } from "../artifacts/artifact.ts";
import { packEmbeddings, type PromptEmbedding } from "../artifacts/embeddings.ts";
import type { Checkpoint } from "../models/checkpoint/checkpoint.ts";
import { adviseOnMemory } from "../models/out_of_memory.ts";
import { T5EncoderConfig } from "../models/t5_encoder_config.ts";
import { T5Encoder } from "../models/t5_runner.ts";
import { encodePrecisionSchema } from "../residency/precision.ts";
import { stageResidency } from "../residency/stage_residency.ts";
import { preprocessCaption } from "../text/clean_caption.ts";
import { createTokenizer } from "../text/tokenizer.ts";
import { loadReport } from "./load_report.ts";
import { modelParameters } from "./model_parameters.ts";
import { stageWeights } from "./stage_weights.ts";
import { defineStage, type Stage, type StageContext } from "./stage.ts";

/** Parameters of the encode stage. */
export const encodeParameters = z.strictObject({
  ...modelParameters,
  /** The prompts; each gives one embedding. */
  prompts: z.array(z.string()).min(1, "At least one prompt is needed"),
  /** Whether captions are cleaned as the training captions were, twice, as diffusers does. */
  cleanCaption: z.boolean().default(true),
  /** Precision of the matrices: as they are stored, or quantized. */
  precision: encodePrecisionSchema.default("float32"),
  /** Tokens that embeddings are padded to; longer prompts are cut. 120 for α and 300 for Σ unless given. */
  maxSequenceLength: z.int().positive().optional(),
});

type Parameters = z.infer<typeof encodeParameters>;

/** What takes less memory. */
const LESS_MEMORY = 'let weights stream (residency "stream"), allow precision "int8", or free memory';

/** What diffusers' pipelines pad to. */
export const SEQUENCE_LENGTHS = { alpha: 120, sigma: 300 } as const;

/**
 * The encode stage: prompts to T5 embeddings. Real tokens alone go through the encoder: padding is masked everywhere, so
 * it changes nothing but the time (`encode_prompt` in diffusers' pipeline_pixart_alpha.py).
 */
export const encodeStage: Stage = defineStage({
  name: "encode",
  version: "2",
  description: "Encodes prompts with the checkpoint's T5.",
  inputs: {},
  outputs: {
    embeddings: { kind: "embeddings", description: "One embedding for each prompt, padded and masked." },
  },
  parameters: encodeParameters,
  modelParts: ({ model, variant }) =>
    ["tokenizer", "text_encoder"].map((component) => ({ model, variant, component })),
  async settle({ parameters, models }) {
    const { prompts, cleanCaption, precision } = parameters;
    const length = sequenceLength(parameters, await models.open(parameters));
    return { prompts, cleanCaption, precision, length };
  },
  async check({ parameters, models }) {
    const checkpoint = await models.open(parameters);
    const textEncoder = await checkpoint.component("text_encoder");
    T5EncoderConfig.parse(textEncoder.config);
    await textEncoder.weights();
    await checkpoint.tokenizer();
  },
  run: (context) => adviseOnMemory("encode the prompts", LESS_MEMORY, encode(context)),
});

async function encode(context: StageContext<Parameters>): Promise<{ embeddings: Artifact }> {
  // 1. Clean the captions and find their tokens.
  const { parameters, models, signal } = context;
  const checkpoint = await models.open(parameters, signal);
  const length = sequenceLength(parameters, checkpoint);
  const tokens = await tokenize(context, checkpoint, length);
  // 2. Encode one prompt after the other.
  const component = await checkpoint.component("text_encoder");
  const weights = await stageWeights(context, component, "text_encoder", parameters.precision);
  await using encoder = await T5Encoder.open(
    context.runtime,
    T5EncoderConfig.parse(component.config),
    weights,
    {
      residency: stageResidency(context.runtime, "encode", weights),
      signal,
      onLoad: (progress) => context.report(loadReport("text_encoder", progress)),
    },
  );
  const prompts: PromptEmbedding[] = [];
  for (const [index, ids] of tokens.entries()) {
    signal.throwIfAborted();
    prompts.push(await encoder.encode(ids, { signal }));
    context.report({
      type: "step",
      step: index + 1,
      steps: tokens.length,
      image: index,
      images: tokens.length,
    });
  }
  return { embeddings: packEmbeddings({ prompts }, length, { prompts: parameters.prompts }) };
}

/** Tokens that embeddings are padded to. */
function sequenceLength({ maxSequenceLength }: Parameters, { family }: Checkpoint): number {
  return maxSequenceLength ?? SEQUENCE_LENGTHS[family];
}

/** The token ids of each prompt; a prompt that is too long is cut, and said to be. */
async function tokenize(
  { parameters, report }: StageContext<Parameters>,
  checkpoint: Checkpoint,
  length: number,
): Promise<ArrayLike<number>[]> {
  const tokenizer = createTokenizer(await checkpoint.tokenizer());
  return parameters.prompts.map((prompt) => {
    const { ids, truncated } = tokenizer.encode(
      preprocessCaption(prompt, { clean: parameters.cleanCaption }),
      length,
    );
    if (truncated) {
      report({
        type: "warning",
        message: `The prompt is longer than ${length} tokens and was cut: "${prompt.slice(0, 60)}…"`,
      });
    }
    return ids;
  });
}
