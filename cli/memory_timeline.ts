/**
 * Records a run for `--memory-report FILE`, and draws it over time.
 *
 * @module
 */

import { extname } from "node:path";
import { InvalidArgumentError } from "commander";
import prettyBytes from "pretty-bytes";
import { z } from "zod";
import { escapeMarkup } from "../charts/markup.ts";
import { memoryTimeline, type RunTimeline, type TimelineSpan } from "../charts/memory_timeline.ts";
import { page } from "../charts/page.ts";
import project from "../deno.json" with { type: "json" };
import type { RunEvent } from "../graph/events.ts";
import type { RunResult } from "../graph/run_options.ts";
import { type Device, providerOf } from "../runtime/device.ts";
import { processor } from "../system/processor.ts";
import type { MemoryReport } from "./memory_report.ts";
import { MemorySampler } from "./memory_sampler.ts";
import { writeOutput } from "./output.ts";

/** Formats of a drawn report, by the file's ending. */
const ENDINGS = [".html", ".svg"];

/** Parses the file of `--memory-report`. */
export function reportFile(file: string): string {
  if (ENDINGS.includes(extname(file).toLowerCase())) return file;
  throw new InvalidArgumentError(
    `The file must end in ${ENDINGS.join(" or ")}. Without a file, put the option after the prompt.`,
  );
}

/** The part of an artifact's metadata that the drawing shows. Files from other programs have none of it. */
const madeSchema = z.looseObject({
  model: z.string().optional(),
  size: z.looseObject({ width: z.number(), height: z.number() }).optional(),
  steps: z.number().optional(),
});

/** When a node ran, in seconds since the run began. */
interface NodeTimes {
  readonly start: number;
  end?: number;
}

/** Records the events and the memory of a run. */
export class TimelineRecorder {
  readonly #sampler: MemorySampler | undefined;
  readonly #times = new Map<string, NodeTimes>();
  readonly #steps: number[] = [];
  #began: number | undefined;

  /**
   * Starts sampling memory.
   *
   * @param device The device of the run.
   */
  static async start(device: Device = "cpu"): Promise<TimelineRecorder> {
    const { provider, index } = providerOf(device);
    return new TimelineRecorder(await MemorySampler.start(provider === "cuda" ? index : undefined));
  }

  private constructor(sampler: MemorySampler | undefined) {
    this.#sampler = sampler;
  }

  /** Records an event. */
  take(event: RunEvent): void {
    this.#began ??= Date.now() - event.elapsedMs;
    const seconds = event.elapsedMs / 1000;
    if (event.type === "stage:start") this.#times.set(event.node, { start: seconds });
    if (event.type === "step" && event.stage === "denoise") this.#steps.push(seconds);
    const times = event.type === "stage:end" ? this.#times.get(event.node) : undefined;
    if (times) times.end = seconds;
  }

  /** Stops sampling, and draws the run into a file. */
  async write(file: string, report: MemoryReport, made: RunResult, device: Device = "cpu"): Promise<string> {
    const samples = await this.stop();
    const run: RunTimeline = {
      title: title(made),
      subtitle: subtitle(report, device),
      spans: report.stages.flatMap((stage): TimelineSpan[] => {
        const { start, end } = this.#times.get(stage.node) ?? {};
        return start === undefined || end === undefined ? [] : [{ ...stage, start, end }];
      }),
      samples: samples.map(({ time, ...memory }) => ({
        ...memory,
        seconds: (time - (this.#began ?? time)) / 1000,
      })).filter(({ seconds }) => seconds >= 0),
      steps: this.#steps,
    };
    const drawn = extname(file).toLowerCase() === ".svg" ? memoryTimeline(run) : timelinePage(run, report);
    return await writeOutput(file, [new TextEncoder().encode(drawn)]);
  }

  /** Stops sampling. */
  async stop(): ReturnType<MemorySampler["stop"]> {
    return await this.#sampler?.stop() ?? [];
  }
}

/** Names what ran: the model, the size and the steps, as far as the results record them. */
function title(made: RunResult): string {
  const found = [...made.values()].map(({ artifact }) => madeSchema.safeParse(artifact.metadata).data ?? {});
  const { model, size, steps } = Object.assign({}, ...found);
  return [
    model === undefined ? "pixstage" : String(model).split("/").at(-1),
    ...(size === undefined ? [] : [`${size.width} × ${size.height}`]),
    ...(steps === undefined ? [] : [`${steps} steps`]),
  ].join(", ");
}

function subtitle({ peakBytes, predictedPeak }: MemoryReport, device: Device): string {
  const predicted = predictedPeak === undefined ? "" : `, predicted ${prettyBytes(predictedPeak)}`;
  const { model, threads } = processor();
  return `peak ${prettyBytes(peakBytes)}${predicted} · ${device === "cpu" ? "" : `${device}, `}${model}, ` +
    `${threads} threads · pixstage ${project.version}`;
}

/** Puts the drawing on a page that also carries the report as JSON. */
function timelinePage(run: RunTimeline, report: MemoryReport): string {
  const json = JSON.stringify({ report, samples: run.samples }).replaceAll("<", "\\u003c");
  return page({
    title: `Memory of ${run.title}`,
    body: `${memoryTimeline(run)}\n<p class="muted">${
      escapeMarkup(
        "The curve is the resident memory of the process and its children, sampled every 50 ms. ",
      ) +
      "Peaks are the kernel’s own figures, so they can be above the curve. Point at a bar or a line for its value."
    }</p>\n<script type="application/json" id="report">${json}</script>`,
  });
}
