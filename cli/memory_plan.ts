/**
 * Plans a run's memory from what the user allows and what the machine has.
 *
 * @module
 */

import prettyBytes from "pretty-bytes";
import { AutoencoderConfig, spatialFactor } from "../models/autoencoder_config.ts";
import type { Checkpoint } from "../models/checkpoint/checkpoint.ts";
import type { Models } from "../models/models.ts";
import { PixArtTransformerConfig } from "../models/pixart_transformer_config.ts";
import type { PictureRequestInput } from "../graph/picture_request.ts";
import { classifyResolution } from "../models/resolution_bins.ts";
import { decodeFacts, denoiseFacts, encodeFacts, type RunFacts } from "../residency/memory_facts.ts";
import { memoryLimit } from "../residency/memory_limit.ts";
import { type MemoryPlan, planMemory, type StageMemoryPlan } from "../residency/plan_memory.ts";
import { SEQUENCE_LENGTHS } from "../stages/encode.ts";
import { openDenoiser } from "../stages/denoiser.ts";
import { guidanceScaleOf } from "../stages/denoise_settings.ts";
import { preprocessCaption } from "../text/clean_caption.ts";
import { createTokenizer } from "../text/tokenizer.ts";
import type { GenOptions } from "./gen_options.ts";

type PlanOptions = Pick<
  GenOptions,
  | "device"
  | "residency"
  | "precision"
  | "maxMemory"
  | "lowestPrecision"
  | "loadEmbeds"
  | "loadLatents"
  | "until"
>;

/** No plan fits into the memory that the user allows. */
export class MemoryBudgetError extends Error {
  override name = "MemoryBudgetError";
}

/** Plans a run. */
export async function planRun(
  request: PictureRequestInput,
  options: PlanOptions,
  models: Models,
  signal?: AbortSignal,
): Promise<MemoryPlan> {
  const { device, residency, precision, lowestPrecision, maxMemory } = options;
  const { available } = Deno.systemMemoryInfo();
  const limitBytes = maxMemory === undefined ? undefined : memoryLimit(maxMemory, available);
  return planMemory(await runFacts(request, options, models, signal), {
    device,
    limitBytes,
    residency,
    precision,
    lowestPrecision,
    tiling: request.tiling,
    tileSize: request.tileSize,
  });
}

/** Reads what the plan depends on: configurations, and the headers of the weights. */
async function runFacts(
  request: PictureRequestInput,
  { loadEmbeds, loadLatents, until }: PlanOptions,
  models: Models,
  signal?: AbortSignal,
): Promise<RunFacts> {
  const { checkpoint, transformer, defaults } = await openDenoiser(request, models, signal);
  const { sample_size, patch_size } = PixArtTransformerConfig.parse(transformer.config);
  const vae = request.vae === undefined
    ? await models.component(request, "vae", signal)
    : await models.component({ model: request.vae }, "vae", signal);
  const factor = spatialFactor(AutoencoderConfig.parse(vae.config));
  const height = request.height ?? defaults.height ?? sample_size * factor;
  const width = request.width ?? defaults.width ?? sample_size * factor;
  const made = request.resolutionBinning === false
    ? { height, width }
    : classifyResolution(height, width, sample_size);
  const encodes = !loadEmbeds && !loadLatents;
  const denoises = !loadLatents && until !== "encode";
  return {
    encode: encodes ? await encodeFacts(await checkpoint.component("text_encoder")) : undefined,
    denoise: denoises ? await denoiseFacts(transformer) : undefined,
    decode: (until ?? "decode") === "decode" ? await decodeFacts(vae) : undefined,
    ...made,
    tokenSize: patch_size * factor,
    guided: guidanceScaleOf(request, checkpoint) > 1,
    textTokens: {
      prompt: await longestText(request.prompts ?? [], request, checkpoint),
      negative: await longestText(
        encodes ? [request.negativePrompt ?? checkpoint.defaults.negativePrompt ?? ""].flat() : [],
        request,
        checkpoint,
      ),
    },
    images: Math.max(1, request.prompts?.length ?? 0) * (request.imagesPerPrompt ?? 1),
  };
}

/** Tokens of the longest text; of embeddings that are at hand, as many as there can be. */
async function longestText(
  texts: readonly string[],
  request: PictureRequestInput,
  checkpoint: Checkpoint,
): Promise<number> {
  const length = request.maxSequenceLength ?? SEQUENCE_LENGTHS[checkpoint.family];
  if (texts.length === 0) return length;
  const tokenizer = createTokenizer(await checkpoint.tokenizer());
  return Math.max(
    ...texts.map((text) =>
      tokenizer.encode(preprocessCaption(text, { clean: request.cleanCaption ?? true }), length).ids.length
    ),
  );
}

/**
 * The request and the residencies as the plan has them.
 *
 * @throws {MemoryBudgetError} if the plan does not fit.
 */
export function followPlan(
  request: PictureRequestInput,
  plan: MemoryPlan,
): { readonly request: PictureRequestInput; readonly residency: NonNullable<GenOptions["residency"]> } {
  if (!plan.fits) {
    throw new MemoryBudgetError(
      `Cannot stay within ${prettyBytes(plan.limitBytes ?? 0)} as ${plan.problems.join("; ")}`,
    );
  }
  const of = (stage: StageMemoryPlan["stage"]) => plan.stages.find((planned) => planned.stage === stage);
  const precision = Object.fromEntries(
    (["encode", "denoise"] as const).flatMap((stage) => {
      const planned = of(stage);
      return planned ? [[stage, planned.precision]] : [];
    }),
  );
  const decode = of("decode");
  return {
    request: {
      ...request,
      precision,
      ...(decode?.tiling === undefined ? {} : { tiling: decode.tiling }),
      ...(decode?.tileSize === undefined ? {} : { tileSize: decode.tileSize }),
    },
    residency: Object.fromEntries(plan.stages.map(({ stage, residency }) => [stage, residency])),
  };
}

/** A plan for people, a line for each stage. */
export function describePlan(plan: MemoryPlan): string[] {
  const lines = plan.stages.map((stage) => {
    const { residency, precision, tiling, tileSize, halves } = stage;
    const choices = [
      residency,
      ...(stage.stage === "decode" ? [] : [precision]),
      ...(tiling === undefined ? [] : [tileSize === undefined ? tiling : `${tiling} tiles of ${tileSize}`]),
      ...(halves === undefined
        ? []
        : [halves === 1 ? "one half of guidance at a time" : "both halves of guidance at once"]),
    ];
    const gpu = stage.predictedGpuPeak === undefined ? "" : `, GPU ${prettyBytes(stage.predictedGpuPeak)}`;
    return `${stage.stage.padEnd(8)} ${prettyBytes(stage.predictedPeak, { fixedWidth: 8 })}  ${
      choices.join(", ")
    }  ` +
      `(weights ${prettyBytes(stage.weightBytes)}${gpu})`;
  });
  const limit = plan.limitBytes === undefined ? "" : `, allowed ${prettyBytes(plan.limitBytes)}`;
  return [...lines, `peak of the whole run: ${prettyBytes(plan.predictedPeak)}${limit}`, ...plan.problems];
}
