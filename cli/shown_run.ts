/**
 * Runs a graph as commands do: stopped by Ctrl-C, its events shown, what was written told at the end.
 *
 * @module
 */

import { stderr, stdout } from "node:process";
import type { RunEvent } from "../graph/events.ts";
import { writeArtifactFile } from "../graph/provenance_file.ts";
import { runGraph } from "../graph/run.ts";
import type { MadeArtifact, RunOptions, RunResult } from "../graph/run_options.ts";
import { describePicture } from "../graph/describe_picture.ts";
import type { GenOptions } from "./gen_options.ts";
import { MemoryReporter } from "./memory_report.ts";
import { progressView, writeLine } from "./progress.ts";
import { type PictureTarget, savePictures } from "./save_pictures.ts";
import type { OpenRun } from "./store_options.ts";
import { userPath } from "./user_path.ts";

/** How loudly a command runs. */
export type Loudness = Pick<GenOptions, "json" | "quiet" | "verbose" | "memoryReport">;

/** What of a graph runs, and where what it made goes. */
export interface ShownRunOptions {
  /** Stops the run. */
  readonly signal: AbortSignal;
  /** Runs this node and what it depends on, nothing else. */
  readonly until?: string | undefined;
  /** Outputs to give besides those of the last nodes. */
  readonly outputs?: readonly string[] | undefined;
  /** Writes files of what was made, and gives their paths. */
  readonly save: (made: RunResult) => Promise<readonly string[]>;
}

/**
 * Runs a graph, writes what it made, and tells the files.
 *
 * @param graph The graph document.
 * @param run What it runs with.
 * @param loudness How loudly.
 * @param options What of it runs, and where what it made goes.
 */
export async function showRun(
  graph: unknown,
  run: OpenRun & Pick<RunOptions, "maxMemory" | "maxGpuMemory" | "lowestPrecision">,
  loudness: Loudness,
  options: ShownRunOptions,
): Promise<void> {
  const { save, ...part } = options;
  const view = progressView(loudness);
  const memory = new MemoryReporter();
  let last: RunEvent | undefined;
  const made = await runGraph(graph, {
    ...run,
    ...part,
    onEvent(event) {
      last = event;
      memory.take(event);
      view(event);
    },
  });
  for (const path of await save(made)) {
    if (loudness.json) writeLine(stdout, JSON.stringify({ type: "file", path }));
    else if (!loudness.quiet) writeLine(stdout, path);
  }
  memory.tell(loudness);
  if (stderr.isTTY && !loudness.memoryReport && !loudness.json && !loudness.quiet && last?.type === "done") {
    const peak = last.peakBytes ? `, peak ${Math.round(last.peakBytes / 1e6)} MB` : "";
    writeLine(stderr, `${(last.elapsedMs / 1000).toFixed(1)} s${peak}`);
  }
}

/** Writes an artifact to a file that the user named, and gives its path. */
export async function saveArtifact({ artifact, provenance }: MadeArtifact, file: string): Promise<string> {
  await writeArtifactFile(userPath(file), artifact, provenance);
  return userPath(file);
}

/** Writes the pictures of an artifact, each with how it came to be. */
export async function saveMadePictures(
  { artifact, provenance }: MadeArtifact,
  target: PictureTarget & { readonly output: string },
): Promise<string[]> {
  return await savePictures(artifact, target, (index) => describePicture(artifact, index, provenance));
}
