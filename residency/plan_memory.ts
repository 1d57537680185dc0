// This module is browser compatible.

/**
 * Chooses how long weights are held, their precision and how pictures are cut, so that a run fits into memory. Pure.
 *
 * @module
 */

import prettyBytes from "pretty-bytes";
import type { Residency } from "../models/segments.ts";
import { chooseTiling, type VaeTiling } from "../models/vae_tiling/tiled_vae_decoder.ts";
import type { DecodeFacts, LayeredFacts, RunFacts } from "./memory_facts.ts";
import { guidanceHalves } from "./guidance_halves.ts";
import { checkPrecision, type Precision, precisionOf, PRECISIONS } from "./precision.ts";
import { predictGpuDenoise, predictGpuEncode } from "./predict_gpu_memory.ts";
import {
  heldByEncoder,
  heldByTransformer,
  precisionBytes,
  predictDecode,
  predictDenoise,
  predictEncode,
} from "./predict_memory.ts";
import { defaultResidency } from "./stage_residency.ts";

/** What the plan is for. */
export interface MemoryRequest {
  /** Where stages run. */
  readonly device: string;
  /** What may be resident at a time; no limit if left out. */
  readonly limitBytes?: number | undefined;
  /** What the user fixed, by stage; `*` stands for all others. */
  readonly residency?: Readonly<Record<string, Residency>> | undefined;
  /** The precision of each stage's weights. */
  readonly precision?: Readonly<Record<string, Precision>> | undefined;
  /** The lowest precision that may be chosen to make a stage fit; none below the stage's own if left out. */
  readonly lowestPrecision?: Precision | undefined;
  /** How pictures are cut; chosen if left out or `auto`. */
  readonly tiling?: VaeTiling | undefined;
  /** Side of a blended tile; chosen if left out. */
  readonly tileSize?: number | undefined;
}

/** How one stage is to run. */
export interface StageMemoryPlan {
  readonly stage: "encode" | "denoise" | "decode";
  readonly residency: Residency;
  readonly precision: Precision;
  /** How pictures are cut, where the stage decodes. */
  readonly tiling?: VaeTiling;
  /** Side of a blended tile in pixels. */
  readonly tileSize?: number;
  /** Halves of guidance that are predicted at once, where the stage denoises with guidance; see docs/memory.md. */
  readonly halves?: 1 | 2;
  /** Bytes of all weights that the stage reads. */
  readonly weightBytes: number;
  /** Resident memory at its largest. */
  readonly predictedPeak: number;
  /** Memory of the GPU at its largest, where stages run on one. */
  readonly predictedGpuPeak?: number;
}

/** A plan. */
export interface MemoryPlan {
  /** Whether all stages are predicted to fit. */
  readonly fits: boolean;
  /** The limit; absent if there is none. */
  readonly limitBytes?: number;
  readonly stages: readonly StageMemoryPlan[];
  /** Resident memory of the whole run at its largest. */
  readonly predictedPeak: number;
  /** Where it does not fit: by how much, and what would help. */
  readonly problems: readonly string[];
}

/** Sides of blended tiles that are tried, in pixels. */
const TILE_SIZES = [512, 384, 256] as const;

/**
 * Plans a run. Stages run one after the other and give their memory back, so each has the whole limit, but for what stages
 * before it hold that are resident. Of what fits, the best is taken: first the precision that was asked for, the usual residency, and pictures without seams.
 *
 * @param facts The run.
 * @param request The machine, the limit and what the user fixed.
 * @returns The plan, also where it does not fit.
 * @throws {RangeError} if a precision is asked for that the device has not.
 */
export function planMemory(facts: RunFacts, request: MemoryRequest): MemoryPlan {
  const stages: StageMemoryPlan[] = [];
  const problems: string[] = [];
  let held = 0;
  const add = (alone: readonly StageMemoryPlan[], advice: (best: StageMemoryPlan) => string): void => {
    const limit = request.limitBytes ?? Infinity;
    const candidates = alone.map((plan) => ({ ...plan, predictedPeak: plan.predictedPeak + held }));
    const fitting = candidates.find(({ predictedPeak }) => predictedPeak <= limit);
    const least = candidates.reduce((a, b) => b.predictedPeak < a.predictedPeak ? b : a);
    stages.push(fitting ?? least);
    if (fitting) return;
    problems.push(
      `${least.stage} needs ${prettyBytes(least.predictedPeak)}, ${
        prettyBytes(least.predictedPeak - limit)
      } more than allowed: ${advice(least)}`,
    );
  };
  const { encode, denoise, decode } = facts;
  const onGpu = request.device !== "cpu";
  const { textTokens } = facts;
  if (encode) {
    const longest = Math.max(textTokens.prompt, textTokens.negative);
    const candidates = layered(
      "encode",
      encode,
      request,
      (...choice) => predictEncode(encode, longest, ...choice),
    );
    add(
      candidates.map((candidate) => ({
        ...candidate,
        ...(onGpu
          ? { predictedGpuPeak: predictGpuEncode(encode, candidate.residency, candidate.precision) }
          : {}),
      })),
      lowerPrecision,
    );
    held += residentBytes(stages.at(-1)!, (precision) => heldByEncoder(encode, "resident", precision));
  }
  if (denoise) {
    const tokens = {
      picture: Math.ceil(facts.height / facts.tokenSize) * Math.ceil(facts.width / facts.tokenSize),
      text: textTokens.prompt + (facts.guided ? textTokens.negative : 0),
    };
    const halves = guidanceHalves(request.device, facts.guided, tokens.picture);
    const candidates = layered(
      "denoise",
      denoise,
      request,
      (...choice) => predictDenoise(denoise, tokens, ...choice),
    );
    add(
      candidates.map((candidate) => ({
        ...candidate,
        ...(facts.guided ? { halves } : {}),
        ...(onGpu
          ? {
            predictedGpuPeak: predictGpuDenoise(
              denoise,
              halves * tokens.picture,
              candidate.residency,
              candidate.precision,
            ),
          }
          : {}),
      })),
      (best) => `${lowerPrecision(best)}, or make a smaller picture`,
    );
    held += residentBytes(stages.at(-1)!, (precision) => heldByTransformer(denoise, "resident", precision));
  }
  if (decode) {
    add(
      decodeCandidates(decode, facts, request),
      ({ tiling }) =>
        tiling === "blended" ? "make a smaller picture" : 'allow tiling "blended", or make a smaller picture',
    );
  }
  return {
    fits: problems.length === 0,
    ...(request.limitBytes === undefined ? {} : { limitBytes: request.limitBytes }),
    stages,
    predictedPeak: Math.max(0, ...stages.map(({ predictedPeak }) => predictedPeak)),
    problems,
  };
}

/** What a stage goes on holding when it has ended. */
function residentBytes(
  { residency, precision }: StageMemoryPlan,
  held: (precision: Precision) => number,
): number {
  return residency === "resident" ? held(precision) : 0;
}

function lowerPrecision({ precision, residency }: StageMemoryPlan): string {
  const hints = [
    ...(residency === "stream" ? [] : ['allow residency "stream"']),
    ...(precision === "int4" ? [] : [`allow precision "${precision === "int8" ? "int4" : "int8"}"`]),
  ];
  return hints.join(" or ") || "allow more memory";
}

/** All ways to run a model of layers, best first. */
function layered(
  stage: "encode" | "denoise",
  facts: LayeredFacts,
  { device, residency, precision, lowestPrecision }: MemoryRequest,
  predict: (residency: Residency, precision: Precision) => number,
): StageMemoryPlan[] {
  const fixed = residency?.[stage] ?? residency?.["*"];
  const usual = defaultResidency(device, stage, facts.weightBytes);
  const residencies = fixed ? [fixed] : usual === "stream" ? [usual] : [usual, "stream" as const];
  const wanted = precisionOf(stage, precision) ?? "float32";
  checkPrecision(wanted, device);
  const first = PRECISIONS.indexOf(wanted);
  const last = Math.max(first, PRECISIONS.indexOf(lowestPrecision ?? wanted));
  const hasFloat16 = stage === "denoise" && device !== "cpu";
  const precisions = PRECISIONS.slice(first, last + 1).filter((one) => one !== "float16" || hasFloat16);
  return precisions.flatMap((precision) =>
    residencies.map((residency) => ({
      stage,
      residency,
      precision,
      weightBytes: precisionBytes(facts.weightBytes, facts, precision),
      predictedPeak: predict(residency, precision),
    }))
  );
}

/** All ways to decode, best first: blended tiles lose quality, so they come last. */
function decodeCandidates(facts: DecodeFacts, run: RunFacts, request: MemoryRequest): StageMemoryPlan[] {
  const { device, tileSize } = request;
  const { tiling = "auto" } = request;
  const usual = chooseTiling(facts.config, device, run.height * run.width);
  const canBeSeamless = facts.config._class_name === "AutoencoderKL";
  const modes: readonly VaeTiling[] = tiling !== "auto"
    ? [tiling]
    : [...new Set<VaeTiling>([usual, ...(canBeSeamless ? ["seamless" as const] : []), "blended"])];
  const sizes = tileSize === undefined ? TILE_SIZES : [tileSize];
  const residency = request.residency?.["decode"] ?? request.residency?.["*"] ??
    defaultResidency(device, "decode", facts.weightBytes);
  return modes.flatMap((mode) =>
    (mode === "blended" ? sizes : [undefined]).map((size): StageMemoryPlan => ({
      stage: "decode",
      residency: mode === "seamless" ? "stream" : residency,
      precision: "float32",
      tiling: mode,
      ...(size === undefined ? {} : { tileSize: size }),
      weightBytes: facts.weightBytes,
      predictedPeak: predictDecode(facts, run, mode, size ?? TILE_SIZES[0]),
    }))
  );
}
