/**
 * Tells what each stage took: memory and time, predicted beside measured.
 *
 * @module
 */

import type { RunEvent } from "../graph/events.ts";
import { formatMemory } from "../residency/memory_size.ts";
import type { MemoryPlan } from "../residency/plan_memory.ts";

/** What one stage took; bytes and seconds. */
export interface StageReportLine {
  readonly node: string;
  readonly stage: string;
  /** Bytes of the weights that were open at a time, at most. */
  readonly weightsMapped?: number | undefined;
  /** Resident memory at its largest, of the process that ran the stage. */
  readonly peak?: number | undefined;
  readonly peakAnonymous?: number | undefined;
  readonly peakFile?: number | undefined;
  /** Resident memory after the release. */
  readonly after?: number | undefined;
  readonly predictedPeak?: number | undefined;
  /** Memory of the GPU at its largest, where there is one and it can be known. */
  readonly gpuPeak?: number | undefined;
  readonly predictedGpuPeak?: number | undefined;
  readonly loadSeconds?: number | undefined;
  readonly runSeconds: number;
}

/** What a run took. */
export interface MemoryReport {
  readonly stages: readonly StageReportLine[];
  /** Peak of the whole run, child processes added to this one. */
  readonly peakBytes: number;
  readonly predictedPeak?: number | undefined;
}

/** Gathers a report from a run's events. */
export class MemoryReporter {
  readonly #plan: MemoryPlan | undefined;
  readonly #stages: StageReportLine[] = [];

  /** @param plan What was predicted. */
  constructor(plan?: MemoryPlan) {
    this.#plan = plan;
  }

  /** Takes an event. */
  take(event: RunEvent): void {
    if (event.type !== "stage:end") return;
    const { node, stage, ms, memory } = event;
    const loadMs = memory?.loadMs ?? 0;
    const planned = this.#plan?.stages.find((planned) => planned.stage === stage);
    this.#stages.push({
      node,
      stage,
      weightsMapped: memory?.weightBytes,
      peak: memory?.peak,
      peakAnonymous: memory?.peakAnonymous,
      peakFile: memory?.peakFile,
      after: memory?.resident,
      predictedPeak: planned?.predictedPeak,
      gpuPeak: memory?.gpuPeak,
      predictedGpuPeak: planned?.predictedGpuPeak,
      loadSeconds: loadMs / 1000,
      runSeconds: (ms - loadMs) / 1000,
    });
  }

  /**
   * The report.
   *
   * @param ownPeak Peak of this process since it started.
   * @param childNodes Nodes that ran in a process of their own.
   */
  report(ownPeak: number, childNodes: ReadonlySet<string>): MemoryReport {
    const children = Math.max(
      0,
      ...this.#stages.filter(({ node }) => childNodes.has(node)).map(({ peak }) => peak ?? 0),
    );
    const inline = this.#stages.filter(({ node }) => !childNodes.has(node)).map(({ peak }) => peak ?? 0);
    return {
      stages: this.#stages,
      peakBytes: Math.max(ownPeak, ...inline) + children,
      predictedPeak: this.#plan?.predictedPeak,
    };
  }
}

/** A report for people. */
export function describeReport({ stages, peakBytes, predictedPeak }: MemoryReport): string[] {
  const amount = (bytes: number | undefined): string => bytes === undefined ? "-" : formatMemory(bytes);
  const hasGpu = stages.some(({ gpuPeak, predictedGpuPeak }) => (gpuPeak ?? predictedGpuPeak) !== undefined);
  const rows = [
    [
      "stage",
      "weights open",
      "peak",
      "anonymous",
      "files",
      "predicted",
      "after",
      ...(hasGpu ? ["GPU", "predicted"] : []),
      "load s",
      "run s",
    ],
    ...stages.map((line) => [
      line.node,
      amount(line.weightsMapped),
      amount(line.peak),
      amount(line.peakAnonymous),
      amount(line.peakFile),
      amount(line.predictedPeak),
      amount(line.after),
      ...(hasGpu ? [amount(line.gpuPeak), amount(line.predictedGpuPeak)] : []),
      (line.loadSeconds ?? 0).toFixed(1),
      line.runSeconds.toFixed(1),
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padStart(widths[column]!)).join("  "));
  const predicted = predictedPeak === undefined ? "" : `, predicted ${formatMemory(predictedPeak)}`;
  return [...lines, `peak of the whole run: ${formatMemory(peakBytes)}${predicted}`];
}
