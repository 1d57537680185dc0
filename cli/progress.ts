/**
 * Shows the events of a run: as progress bars on a terminal, as lines of JSON or text, or not at all.
 *
 * @module
 */

import cliProgress from "cli-progress";
import { stderr, stdout } from "node:process";
import type { RunEvent } from "../graph/events.ts";
import type { DownloadProgress } from "../hub/download.ts";
import { printable, writeLine } from "./standard_streams.ts";

/** How the events of a run are shown. */
export interface ProgressOptions {
  /** Whether to print each event as a line of JSON on the standard output. */
  readonly json?: boolean | undefined;
  /** Whether to show only errors. */
  readonly quiet?: boolean | undefined;
  /** Whether to print a line for each event on the standard error. */
  readonly verbose?: boolean | undefined;
}

/** Returns the view for the options and the terminal. */
export function progressView(options: ProgressOptions): (event: RunEvent) => void {
  if (options.json) return (event) => writeLine(stdout, JSON.stringify(event));
  if (options.quiet) return () => {};
  if (options.verbose) return (event) => writeLine(stderr, JSON.stringify(event));
  return stderr.isTTY ? bars() : warnings;
}

/** Prints only warnings, for a standard error that is not a terminal. */
function warnings(event: RunEvent): void {
  if (event.type === "warning") writeLine(stderr, `warning: ${event.message}`);
}

/** Returns a view with one progress bar for each stage: first loading, then steps. */
function bars(): (event: RunEvent) => void {
  const format = "{node} {bar} {value}/{total} {what}";
  const options = { format, barCompleteChar: "█", barIncompleteChar: "░", barsize: 30, hideCursor: true };
  let bar: cliProgress.SingleBar | undefined;
  const stop = (): void => {
    bar?.stop();
    bar = undefined;
  };
  const show = (node: string, value: number, total: number, what: string): void => {
    if (!bar) {
      bar = new cliProgress.SingleBar(options);
      bar.start(total, value, { node: printable(node).padEnd(9), what });
    }
    bar.setTotal(total);
    bar.update(value, { what });
  };
  return (event) => {
    if (event.type === "warning") {
      stop();
      warnings(event);
    } else if (event.type === "stage:load") {
      show(event.node, event.loaded, event.total, `loading ${printable(event.part)}`);
    } else if (event.type === "step") {
      show(event.node, event.step, event.steps, `${(event.elapsedMs / 1000).toFixed(1)} s`);
    } else if (event.type !== "artifact" && event.type !== "preview") {
      stop();
    }
  };
}

/** Shows downloads and warnings of the hub. */
export interface HubView {
  /** Shows a download as one progress bar for all of its files. */
  readonly onProgress: (progress: DownloadProgress) => void;
  /** Shows a warning. Repeated warnings are shown once. */
  readonly onWarning: (message: string) => void;
}

/** Returns the view of the hub for the options and the terminal. */
export function hubView({ json, quiet, verbose }: ProgressOptions): HubView {
  const bar = !json && !quiet && stderr.isTTY
    ? new cliProgress.SingleBar({ format: "download {bar} {percentage}% {file}", hideCursor: true })
    : undefined;
  const shown = new Set<string>();
  return {
    onProgress(progress) {
      if (json) writeLine(stdout, JSON.stringify({ type: "download", ...progress }));
      if (!bar) return;
      const { allReceived, allTotal } = progress;
      const file = printable(progress.file);
      if (!bar.isActive) bar.start(allTotal, allReceived, { file });
      bar.update(allReceived, { file });
      if (allReceived >= allTotal) bar.stop();
    },
    onWarning(message) {
      if (shown.has(message)) return;
      shown.add(message);
      bar?.stop();
      if (json) writeLine(stdout, JSON.stringify({ type: "warning", message }));
      else if (verbose) writeLine(stderr, JSON.stringify({ type: "warning", message }));
      else if (!quiet) writeLine(stderr, `warning: ${message}`);
    },
  };
}
