// This module is browser compatible.

import { z } from "zod";
import type { Artifact } from "../artifacts/artifact.ts";
import { joinEmbeddings, packEmbeddings, splitEmbeddings } from "../artifacts/embeddings.ts";
import type { OpenTextEncoder, TokenizedText } from "../models/architecture.ts";
import { checkComponent } from "../models/check_component.ts";
import { adviseOnMemory } from "../models/out_of_memory.ts";
import { precisionSchema } from "../models/precision.ts";
import {
  loadReport,
  modelParameters,
  openWeights,
  precisionIdentity,
  requirePrecision,
  residencyOf,
} from "./model.ts";
import { promptSchema } from "../text/prompt.ts";
import { defineStage, type RunContext, type Stage } from "./stage.ts";

/** Parameters of the encode stage. */
export const encodeParameters = z.strictObject({
  ...modelParameters,
  /** The prompts. Each produces one embedding. The default is the checkpoint's own negative prompt, or "". */
  prompts: z.array(promptSchema).min(1, "At least one prompt is needed").optional(),
  /** Whether to clean captions in the same way as the training captions: twice, as diffusers does. */
  cleanCaption: z.boolean().default(true),
  /** Precision of the matrices: as stored, or quantized. T5's values overflow float16. */
  precision: precisionSchema.exclude(["float16"]).default("float32"),
  /**
   * Number of tokens to pad embeddings to. Longer prompts are truncated. The default is the model's own
   * length.
   */
  maxSequenceLength: z.int().positive().optional(),
});

/** Advice on how to use less memory. */
const LESS_MEMORY = 'let weights stream (residency "stream"), allow precision "int8", or free memory';

/**
 * The encode stage. Encodes prompts to embeddings. Only real tokens pass through the encoder: padding is
 * masked everywhere, so it costs time and changes nothing else. All texts of a run pass through each layer
 * while it is open.
 */
export const encodeStage: Stage = defineStage({
  name: "encode",
  version: "2",
  description: "Encodes prompts with the checkpoint's text encoder.",
  inputs: {},
  outputs: {
    embeddings: { kind: "embeddings", description: "One embedding per prompt, padded and masked." },
  },
  parameters: encodeParameters,
  batch: { parameter: "prompts", output: "embeddings", split: splitEmbeddings, join: joinEmbeddings },
  async prepare(context) {
    const { parameters, models, device, residency, lowestPrecision, signal } = context;
    const { cleanCaption, precision, model: name, variant } = parameters;
    requirePrecision(precision, context);

    // 1. Read the encoder's configuration, and tokenize the prompts.
    const checkpoint = await models.open(parameters, signal);
    const model = await checkpoint.architecture.textEncoder(checkpoint, parameters);
    const { component, sequenceLength, channels, files } = model;
    const prompts = parameters.prompts ?? [checkpoint.defaults.negativePrompt ?? ""];
    const texts = prompts.map((prompt) => model.tokenize(prompt));
    const weights = await checkComponent("text_encoder", component);
    const tokens = texts.map(({ ids }) => ids.length);

    // 2. Determine outputs and memory.
    const shape = [prompts.length, sequenceLength];
    return {
      identity: {
        prompts,
        cleanCaption,
        ...precisionIdentity(precision, device.traits, true),
        length: sequenceLength,
      },
      weights: [
        ...Object.entries(files).map(([component, content]) => ({
          model: name,
          variant,
          component,
          content,
        })),
        { model: name, variant, component: "text_encoder", content: component },
      ],
      outputs: {
        embeddings: {
          kind: "embeddings",
          shapes: { prompt_embeds: [...shape, channels], prompt_attention_mask: shape },
          metadata: { prompts },
          tokens,
        },
      },
      warnings: texts.flatMap(({ warnings }) => warnings),
      memory: model.memory(weights, tokens, { traits: device.traits, residency, precision, lowestPrecision }),
      run: (run) => adviseOnMemory("encode the prompts", LESS_MEMORY, encode(run)),
    };

    async function encode(run: RunContext): Promise<{ embeddings: Artifact }> {
      const stored = await openWeights(component, "text_encoder", precision, models, run, true);
      await using encoder = await model.open(run.runtime, stored, {
        residency: residencyOf(context, stored, true),
        signal: run.signal,
        onLoad: (progress) => run.report(loadReport("text_encoder", progress)),
      });
      const embeddings = await encodeTexts(encoder, texts, run);
      return { embeddings: packEmbeddings({ prompts: embeddings }, sequenceLength, { prompts }) };
    }
  },
});

async function encodeTexts(
  encoder: OpenTextEncoder,
  texts: readonly TokenizedText[],
  { signal, report }: RunContext,
): ReturnType<OpenTextEncoder["encodeEach"]> {
  const embeddings = await encoder.encodeEach(texts.map(({ ids }) => ids), { signal });
  const images = texts.length;
  for (const image of texts.keys()) {
    report({ type: "step", step: image + 1, steps: images, image, images });
  }
  return embeddings;
}
