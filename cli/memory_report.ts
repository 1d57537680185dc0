/**
 * Reports the memory and time of each stage, predicted and measured.
 *
 * @module
 */

import { stderr, stdout } from "node:process";
import prettyBytes from "pretty-bytes";
import type { RunEvent } from "../graph/events.ts";
import type { MemoryPlan } from "../graph/memory_plan.ts";
import { memoryFigures } from "../runtime/memory.ts";
import type { GenOptions } from "./gen_options.ts";
import { writeLine } from "./standard_streams.ts";

/** Memory (bytes) and time (seconds) of one stage. */
export interface StageReportLine {
  readonly node: string;
  readonly stage: string;
  /** The executor: `inline` or `worker` (this process), `process` (a child), or the address of a server. */
  readonly executor?: string | undefined;
  /** Maximum number of bytes of weights that were open at the same time. */
  readonly weightsMapped?: number | undefined;
  /** Peak resident memory of the process that ran the stage. */
  readonly peak?: number | undefined;
  readonly peakAnonymous?: number | undefined;
  readonly peakFile?: number | undefined;
  /** Resident memory after the stage released its weights. */
  readonly after?: number | undefined;
  readonly predictedPeak?: number | undefined;
  /** Peak GPU memory, if there is a GPU and its memory can be measured. */
  readonly gpuPeak?: number | undefined;
  readonly predictedGpuPeak?: number | undefined;
  readonly loadSeconds?: number | undefined;
  readonly runSeconds: number;
}

/** Memory and time of a run. */
export interface MemoryReport {
  readonly stages: readonly StageReportLine[];
  /** Peak of the whole run: this process plus its child processes. */
  readonly peakBytes: number;
  readonly predictedPeak?: number | undefined;
}

/** Builds a report from the events of a run. */
export class MemoryReporter {
  #plan: MemoryPlan | undefined;
  readonly #stages: StageReportLine[] = [];

  /** Records an event. */
  take(event: RunEvent): void {
    if (event.type === "plan") this.#plan = event;
    if (event.type !== "stage:end") return;
    const { node, stage, executor, ms, memory } = event;
    const loadMs = memory?.loadMs ?? 0;
    const planned = this.#plan?.stages.find((planned) => planned.stage === stage);
    this.#stages.push({
      node,
      stage,
      executor,
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
   * Returns the report. Stages run one after another, so the peak of the run is that of this process plus the
   * largest peak of a child process. Memory of servers is not included.
   *
   * @param ownPeak Peak memory of this process since it started, in bytes.
   */
  report(ownPeak: number): MemoryReport {
    const peaks = (...executors: string[]): number[] =>
      this.#stages.filter(({ executor }) => executors.includes(executor ?? "inline"))
        .map(({ peak }) => peak ?? 0);
    return {
      stages: this.#stages,
      peakBytes: Math.max(ownPeak, ...peaks("inline", "worker")) + Math.max(0, ...peaks("process")),
      predictedPeak: this.#plan?.predictedPeak,
    };
  }

  /** Prints the report: as an event with `--json`, as a table with `--memory-report` without a file. */
  tell({ json, memoryReport }: Pick<GenOptions, "json" | "memoryReport">): void {
    const report = this.report(memoryFigures().peak ?? 0);
    if (json) writeLine(stdout, JSON.stringify({ type: "memory", ...report }));
    else if (memoryReport === true) { for (const line of describeReport(report)) writeLine(stderr, line); }
  }
}

/** Formats a report for people to read. */
export function describeReport({ stages, peakBytes, predictedPeak }: MemoryReport): string[] {
  const amount = (bytes: number | undefined): string => bytes === undefined ? "-" : prettyBytes(bytes);
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
  const predicted = predictedPeak === undefined ? "" : `, predicted ${prettyBytes(predictedPeak)}`;
  return [...lines, `peak of the whole run: ${prettyBytes(peakBytes)}${predicted}`];
}
