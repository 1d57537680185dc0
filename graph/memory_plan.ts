// This module is browser compatible.

/**
 * Chooses how each node runs, such that the whole run fits into memory: how long weights stay in memory,
 * their precision, and how pictures are tiled. The module is pure: nodes list their choices when they are
 * prepared.
 *
 * @module
 */

import { PixstageError } from "../errors/pixstage_error.ts";
import prettyBytes from "pretty-bytes";
import { z } from "zod";
import type { MemoryChoice } from "../models/memory.ts";
import { residencySchema } from "../models/segments.ts";
import { precisionSchema } from "../models/precision.ts";

/** The schema of {@linkcode StageMemoryPlan}. */
export const stageMemoryPlanSchema = z.object({
  /** The stage. */
  stage: z.string(),
  /** The nodes of that stage that run together. */
  nodes: z.array(z.string()),
  /** How long the weights stay in memory. */
  residency: residencySchema,
  /** Precision of the matrices, if the stage has any. */
  precision: precisionSchema.optional(),
  /** How pictures are tiled, if the stage decodes. */
  tiling: z.string().optional(),
  /** Side of a blended tile in pixels. */
  tileSize: z.number().optional(),
  /**
   * Number of guidance branches predicted at once, if the stage denoises with guidance; see docs/memory.md.
   */
  guidanceBranches: z.number().optional(),
  /** Bytes of all weights that the stage reads. */
  weightBytes: z.number(),
  /** Predicted peak of resident memory of the process that runs the stage, in bytes. */
  predictedPeak: z.number(),
  /** Predicted peak of GPU memory in bytes, if the stage runs on a GPU. */
  predictedGpuPeak: z.number().optional(),
});

/** The schema of {@linkcode MemoryPlan}. */
export const memoryPlanSchema = z.object({
  /** Whether all stages are predicted to fit into the limits. */
  fits: z.boolean(),
  /** The limit in bytes; absent if there is none. */
  limitBytes: z.number().optional(),
  /** The limit of GPU memory in bytes; absent if there is none. */
  gpuLimitBytes: z.number().optional(),
  /** The stages, in the order of the run. */
  stages: z.array(stageMemoryPlanSchema),
  /** Predicted peak of the whole run's resident memory, of all its processes on this machine, in bytes. */
  predictedPeak: z.number(),
  /** For each stage that does not fit: the excess, and what would help. */
  problems: z.array(z.string()),
});

/** How the nodes of one stage run. */
export type StageMemoryPlan = z.infer<typeof stageMemoryPlanSchema>;

/** How a run uses memory. */
export type MemoryPlan = z.infer<typeof memoryPlanSchema>;

/** Limits on a run's memory. */
export interface MemoryLimits {
  /** Maximum resident memory in bytes. Unlimited by default. */
  readonly maxMemory?: number | undefined;
  /** Maximum GPU memory in use, in bytes. Unlimited by default. */
  readonly maxGpuMemory?: number | undefined;
  /**
   * GPU memory that is free before the run, in bytes. A choice predicted to need more is passed over if
   * another one fits and produces the same picture. Nothing is refused, because predictions can be wrong.
   */
  readonly freeGpuMemory?: number | undefined;
}

/** A node, and the ways it can run. */
export interface NodeChoices {
  /** The node's id. */
  readonly node: string;
  /** The node's stage. */
  readonly stage: string;
  /** All ways to run the node, the best first. */
  readonly choices: readonly MemoryChoice[];
  /**
   * Bytes that this process holds while the node runs in another one.
   *
   * @default {0}
   */
  readonly besideBytes?: number | undefined;
}

/** No choice fits into the memory that the user allows. */
export class MemoryBudgetError extends PixstageError<"memory_budget"> {
  override name = "MemoryBudgetError";

  /** @param message What does not fit, and what would help. */
  constructor(message: string) {
    super("memory_budget", message);
  }
}

/**
 * Plans the memory of a run. Stages run one after the other and release their memory. Each stage therefore
 * has the whole limit, both of host and of GPU memory, minus what resident stages before it keep. The first
 * choice that fits is taken.
 *
 * @param nodes The nodes in the order of the run. Nodes without choices need next to no memory.
 * @param limits Limits on the memory.
 * @returns The plan, even if it does not fit, and the choice for each node.
 */
export function planMemory(
  nodes: readonly NodeChoices[],
  { maxMemory, maxGpuMemory, freeGpuMemory }: MemoryLimits = {},
): { readonly plan: MemoryPlan; readonly chosen: ReadonlyMap<string, MemoryChoice> } {
  const stages: StageMemoryPlan[] = [];
  const problems: string[] = [];
  const chosen = new Map<string, MemoryChoice>();
  const held = { host: 0, gpu: 0 };
  let predictedPeak = 0;
  const gpuLimit = maxGpuMemory ?? Infinity;
  const gpuBound = Math.min(gpuLimit, freeGpuMemory ?? Infinity);
  for (const group of byStage(nodes)) {
    const hostBound = (maxMemory ?? Infinity) - group.besideBytes;
    const choices = group.choices.map((choice) => {
      const { peakBytes, gpuPeakBytes } = choice;
      return {
        ...choice,
        peakBytes: peakBytes + held.host,
        gpuPeakBytes: gpuPeakBytes === undefined ? undefined : gpuPeakBytes + held.gpu,
      };
    });
    const isWithin = ({ peakBytes, gpuPeakBytes = 0 }: MemoryChoice, gpuBytes: number): boolean =>
      peakBytes <= hostBound && gpuPeakBytes <= gpuBytes;
    const excess = ({ peakBytes, gpuPeakBytes = 0 }: MemoryChoice): number => {
      const over = Math.max(peakBytes - hostBound, gpuPeakBytes - gpuBound);
      return Number.isFinite(over) ? over : peakBytes;
    };
    const allowed = choices.filter(({ unlessAllowed }) => unlessAllowed === undefined);
    const least = allowed.reduce((a, b) => excess(b) < excess(a) ? b : a);
    const exact = allowed.filter((choice) => !choice.isApproximate && isWithin(choice, gpuLimit));
    const choice = exact.find((choice) => isWithin(choice, gpuBound)) ??
      exact.toSorted((a, b) => (a.gpuPeakBytes ?? 0) - (b.gpuPeakBytes ?? 0))[0] ??
      allowed.find((choice) => isWithin(choice, gpuLimit)) ?? least;
    for (const node of group.nodes) chosen.set(node, choice);
    stages.push(stagePlan(group, choice));
    held.host += choice.heldBytes;
    held.gpu += choice.heldGpuBytes ?? 0;
    const peak = choice.peakBytes + group.besideBytes;
    predictedPeak = Math.max(predictedPeak, peak);
    if (isWithin(choice, gpuLimit)) continue;
    const isGpu = choice.peakBytes <= hostBound;
    const [needs, limit] = isGpu ? [choice.gpuPeakBytes!, maxGpuMemory!] : [peak, maxMemory!];
    problems.push(
      `${group.stage} needs ${prettyBytes(needs)}${isGpu ? " of GPU memory" : ""}, ${
        prettyBytes(needs - limit)
      } more than allowed: ${
        adviceOf(choices.filter((choice) => isWithin(choice, gpuLimit))) ?? choice.advice ??
          `allow ${prettyBytes(roundedUp(needs))}${isGpu ? " of GPU memory" : ""}`
      }`,
    );
  }
  return {
    plan: {
      fits: problems.length === 0,
      ...(maxMemory === undefined ? {} : { limitBytes: maxMemory }),
      ...(maxGpuMemory === undefined ? {} : { gpuLimitBytes: maxGpuMemory }),
      stages,
      predictedPeak,
      problems,
    },
    chosen,
  };
}

/** Returns how to make a stage fit by ways that fit but are not allowed: an exact one, and one that is not. */
function adviceOf(fitting: readonly MemoryChoice[]): string | undefined {
  const exact = fitting.find(({ isApproximate }) => !isApproximate)?.unlessAllowed;
  const approximate = fitting.find(({ isApproximate }) => isApproximate)?.unlessAllowed;
  const advice = [exact, approximate].filter((one) => one !== undefined);
  return advice.length === 0 ? undefined : advice.join(" or ");
}

/** Rounds up to the three digits that are printed, so that the printed amount is enough. */
function roundedUp(bytes: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(bytes)) - 2);
  return Math.ceil(bytes / unit) * unit;
}

/**
 * Throws if a plan does not fit.
 *
 * @throws {MemoryBudgetError} with advice on what would help.
 */
export function requireFit({ fits, limitBytes, gpuLimitBytes, problems }: MemoryPlan): void {
  if (fits) return;
  const limits = [
    ...(limitBytes === undefined ? [] : [prettyBytes(limitBytes)]),
    ...(gpuLimitBytes === undefined ? [] : [`${prettyBytes(gpuLimitBytes)} of GPU memory`]),
  ];
  throw new MemoryBudgetError(`Cannot stay within ${limits.join(" and ")} because ${problems.join("; ")}`);
}

interface StageGroup {
  readonly stage: string;
  readonly nodes: string[];
  readonly choices: readonly MemoryChoice[];
  readonly besideBytes: number;
}

/** Groups nodes of one stage that can run in the same ways, each way with the larger figures. */
function byStage(nodes: readonly NodeChoices[]): StageGroup[] {
  const groups: StageGroup[] = [];
  for (const { node, stage, choices, besideBytes = 0 } of nodes) {
    if (choices.length === 0) continue;
    const index = groups.findIndex((group) =>
      group.stage === stage && group.besideBytes === besideBytes &&
      JSON.stringify(ways(group.choices)) === JSON.stringify(ways(choices))
    );
    const known = groups[index];
    if (!known) {
      groups.push({ stage, nodes: [node], choices, besideBytes });
      continue;
    }
    const larger = known.choices.map((choice, way) => largerOf(choice, choices[way]!));
    groups[index] = { ...known, nodes: [...known.nodes, node], choices: larger };
  }
  return groups;
}

/**
 * Merges one way of two nodes. The node that needs more host memory does not necessarily need more GPU
 * memory.
 */
function largerOf(a: MemoryChoice, b: MemoryChoice): MemoryChoice {
  const most = (x: number | undefined, y: number | undefined): number | undefined =>
    x === undefined || y === undefined ? x ?? y : Math.max(x, y);
  return {
    ...(b.peakBytes > a.peakBytes ? b : a),
    peakBytes: Math.max(a.peakBytes, b.peakBytes),
    gpuPeakBytes: most(a.gpuPeakBytes, b.gpuPeakBytes),
    heldBytes: Math.max(a.heldBytes, b.heldBytes),
    heldGpuBytes: most(a.heldGpuBytes, b.heldGpuBytes),
  };
}

function ways(choices: readonly MemoryChoice[]): unknown {
  return choices.map(({ residency, parameters, unlessAllowed }) => ({
    residency,
    parameters,
    unlessAllowed,
  }));
}

/** Returns whether two choices run a stage in the same way. */
export function isSameWay(a: MemoryChoice, b: MemoryChoice): boolean {
  return JSON.stringify(ways([a])) === JSON.stringify(ways([b]));
}

function stagePlan({ stage, nodes }: StageGroup, choice: MemoryChoice): StageMemoryPlan {
  const { residency, parameters, guidanceBranches, weightBytes, peakBytes, gpuPeakBytes } = choice;
  return stageMemoryPlanSchema.parse({
    stage,
    nodes,
    residency,
    ...parameters,
    weightBytes,
    predictedPeak: peakBytes,
    ...(guidanceBranches === undefined ? {} : { guidanceBranches }),
    ...(gpuPeakBytes === undefined ? {} : { predictedGpuPeak: gpuPeakBytes }),
  });
}
