/**
 * Runs a graph for a command: Ctrl-C stops it, its events are shown, and the paths of its files are printed
 * at the end.
 *
 * @module
 */

import type { Command } from "commander";
import { stderr } from "node:process";
import prettyBytes from "pretty-bytes";
import type { RunEvent } from "../graph/events.ts";
import { artifactFileChunks } from "../graph/provenance_file.ts";
import { runGraph } from "../graph/run.ts";
import type { MadeArtifact, RunOptions, RunResult } from "../graph/run_options.ts";
import { memoryFigures } from "../runtime/memory.ts";
import { describePicture } from "../graph/describe_picture.ts";
import type { GenOptions } from "./gen_options.ts";
import { nameOptions } from "./name_option.ts";
import { MemoryReporter } from "./memory_report.ts";
import { TimelineRecorder } from "./memory_timeline.ts";
import { checkOutputs, printPaths, writeOutput } from "./output.ts";
import { progressView } from "./progress.ts";
import { type PictureTarget, savePictures } from "./save_pictures.ts";
import { writeLine } from "./standard_streams.ts";
import type { OpenRun } from "./store_options.ts";

/** The options for a command's output. */
export type Loudness = Pick<GenOptions, "json" | "quiet" | "verbose" | "memoryReport" | "device">;

/** Which part of a graph runs, and where its results are written. */
export interface ShownRunOptions {
  /** Stops the run. */
  readonly signal: AbortSignal;
  /** If set, only this node and its dependencies run. */
  readonly until?: string | undefined;
  /** Outputs to return in addition to those of the last nodes. */
  readonly outputs?: readonly string[] | undefined;
  /** The command. Warnings name its options. */
  readonly command: Command;
  /** Warnings about the command. */
  readonly warnings?: readonly string[] | undefined;
  /** Checks what is known about the results when all nodes are prepared. */
  readonly onPrepared?: RunOptions["onPrepared"];
  /** Writes the results to files, and returns their paths. */
  readonly save: (made: RunResult) => Promise<readonly string[]>;
}

/**
 * Runs a graph, writes the results, and prints the paths of the files.
 *
 * @param graph The graph document.
 * @param run The store, executors and stages of the run.
 * @param loudness What the command prints.
 * @param options Which part of the graph runs, and where its results are written.
 */
export async function showRun(
  graph: unknown,
  run: OpenRun & Pick<RunOptions, "maxMemory" | "maxGpuMemory" | "lowestPrecision">,
  loudness: Partial<Loudness>,
  options: ShownRunOptions,
): Promise<void> {
  const { save, command, warnings = [], ...part } = options;
  const shown = progressView(loudness);
  const view = (event: RunEvent): void =>
    shown(event.type === "warning" ? { ...event, message: nameOptions(event.message, command) } : event);
  const memory = new MemoryReporter();
  for (const message of [...run.warning === undefined ? [] : [run.warning], ...warnings]) {
    view({ type: "warning", message, elapsedMs: 0 });
  }
  const { memoryReport, device } = loudness;
  const file = typeof memoryReport === "string" ? memoryReport : undefined;
  if (file !== undefined) await checkOutputs([file], loudness);
  const timeline = file === undefined ? undefined : await TimelineRecorder.start(device);
  let last: RunEvent | undefined;
  try {
    const made = await runGraph(graph, {
      ...run,
      ...part,
      onEvent(event) {
        last = event;
        memory.take(event);
        timeline?.take(event);
        view(event);
      },
    });
    const report = memory.report(memoryFigures().peak ?? 0);
    const drawn = file === undefined ? [] : [await timeline!.write(file, report, made, device)];
    printPaths([...await save(made), ...drawn], loudness);
    memory.tell(loudness);
  } finally {
    await timeline?.stop();
  }
  if (stderr.isTTY && !loudness.memoryReport && !loudness.json && !loudness.quiet && last?.type === "done") {
    const peak = last.peakBytes ? `, peak ${prettyBytes(last.peakBytes)}` : "";
    writeLine(stderr, `${(last.elapsedMs / 1000).toFixed(1)} s${peak}`);
  }
}

/** Writes an artifact to an output that the user named, and returns its path. */
export async function saveArtifact({ artifact, provenance }: MadeArtifact, output: string): Promise<string> {
  return await writeOutput(output, artifactFileChunks(artifact, provenance));
}

/** Writes the pictures of an artifact, each with its provenance. */
export async function saveMadePictures(
  { artifact, provenance }: MadeArtifact,
  target: PictureTarget & { readonly output: string },
): Promise<string[]> {
  return await savePictures(artifact, target, (index) => describePicture(artifact, index, provenance));
}
