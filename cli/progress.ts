/**
 * Three views of one stream of events: bars on a terminal, JSON lines, nothing.
 *
 * @module
 */

import cliProgress from "cli-progress";
import { stderr, stdout } from "node:process";
import type { RunEvent } from "../graph/events.ts";
import type { DownloadProgress } from "../hub/download.ts";
import { printable, writeLine } from "./standard_streams.ts";

/** How a run's events are shown. */
export interface ProgressOptions {
  /** Prints each event as a line of JSON on the standard output. */
  readonly json?: boolean | undefined;
  /** Shows nothing but errors. */
  readonly quiet?: boolean | undefined;
  /** Prints a line for each event on the standard error. */
  readonly verbose?: boolean | undefined;
}

/** Makes the view that fits the options and the terminal. */
export function progressView(options: ProgressOptions): (event: RunEvent) => void {
  if (options.json) return (event) => writeLine(stdout, JSON.stringify(event));
  if (options.quiet) return () => {};
  if (options.verbose) return (event) => writeLine(stderr, JSON.stringify(event));
  return stderr.isTTY ? bars() : warnings;
}

/** In a pipe only warnings are told. */
function warnings(event: RunEvent): void {
  if (event.type === "warning") writeLine(stderr, `warning: ${event.message}`);
}

/** One bar for each stage: loading, then steps. */
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

/** What is shown of the hub. */
export interface HubView {
  /** Shows a download as one bar over all of its files. */
  readonly onProgress: (progress: DownloadProgress) => void;
  /** Shows a warning, each one once. */
  readonly onWarning: (message: string) => void;
}

/** Makes the view of the hub that fits the options and the terminal. */
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
