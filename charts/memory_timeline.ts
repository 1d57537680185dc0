// This module is browser compatible.

/**
 * Draws a run over time: its stages, its memory, and the predicted peak of each stage beside the measured
 * one.
 *
 * @module
 */

import prettyBytes from "pretty-bytes";
import { chart } from "./chart.ts";
import { element, escapeMarkup } from "./markup.ts";
import { axisScale, BYTES, type Scale, SECONDS } from "./scale.ts";
import { CHART_STYLE, SERIES } from "./style.ts";

/** One node of a run. */
export interface TimelineSpan {
  readonly node: string;
  readonly stage: string;
  /** Seconds since the run began. */
  readonly start: number;
  /** Seconds since the run began. */
  readonly end: number;
  /** Seconds spent on opening weights. */
  readonly loadSeconds?: number | undefined;
  /** Peak resident memory in bytes. */
  readonly peak?: number | undefined;
  readonly predictedPeak?: number | undefined;
  /** Peak GPU memory in bytes. */
  readonly gpuPeak?: number | undefined;
  readonly predictedGpuPeak?: number | undefined;
}

/** Memory at one moment. */
export interface MemorySample {
  /** Seconds since the run began. */
  readonly seconds: number;
  /** Resident memory in bytes. */
  readonly resident: number;
  /** GPU memory in bytes. */
  readonly gpu?: number | undefined;
}

/** A run over time. */
export interface RunTimeline {
  /** What ran: the model, the size, the steps. */
  readonly title: string;
  /** More about the run, in one line. */
  readonly subtitle: string;
  /** The nodes that ran, in order. */
  readonly spans: readonly TimelineSpan[];
  /** Memory over time, in order. Empty if the system does not report it. */
  readonly samples: readonly MemorySample[];
  /** The seconds at which a denoising step ended. */
  readonly steps: readonly number[];
}

/** A kind of memory with its own plot. */
interface Panel {
  readonly label: string;
  readonly height: number;
  readonly sample: (sample: MemorySample) => number | undefined;
  readonly measured: (span: TimelineSpan) => number | undefined;
  readonly predicted: (span: TimelineSpan) => number | undefined;
}

const RESIDENT: Panel = {
  label: "resident memory",
  height: 240,
  sample: ({ resident }) => resident,
  measured: ({ peak }) => peak,
  predicted: ({ predictedPeak }) => predictedPeak,
};

const GPU: Panel = {
  label: "GPU memory",
  height: 160,
  sample: ({ gpu }) => gpu,
  measured: ({ gpuPeak }) => gpuPeak,
  predicted: ({ predictedGpuPeak }) => predictedGpuPeak,
};

const WIDTH = 960;
const LEFT = 76;
const RIGHT = 24;
const PLOT = WIDTH - LEFT - RIGHT;
/** Estimated width of a letter, in pixels. */
const LETTER = 7;
/** Distance between two plots. */
const GAP = 24;
/** Distance between two rows of the table. */
const ROW = 24;
/** Number of columns to which the curve is reduced. A screen shows no more at this width. */
const COLUMNS = PLOT / 2;

const STYLE = CHART_STYLE +
  "svg.chart .curve{fill:none;stroke:var(--text);stroke-width:1.5;stroke-linejoin:round}" +
  "svg.chart .area{fill:var(--text);opacity:.08}" +
  "svg.chart .measured{stroke-width:2.5}" +
  "svg.chart .predicted{stroke-width:2.5;stroke-dasharray:6 5}" +
  "svg.chart .key{stroke:var(--text)}" +
  "svg.chart .step{stroke:var(--muted);stroke-width:1}" +
  "svg.chart .within{fill:var(--background);font-weight:600;font-size:12px}";

/**
 * Draws a run.
 *
 * @param run The run.
 * @returns An SVG document of 960 pixels width, for a light and a dark background.
 */
export function memoryTimeline(run: RunTimeline): string {
  const end = Math.max(
    1e-3,
    ...run.spans.map(({ end }) => end),
    ...run.samples.map(({ seconds }) => seconds),
  );
  const time = axisScale(end, SECONDS, { count: 10 });
  const x = (seconds: number): number => LEFT + (PLOT * Math.min(seconds, end)) / end;
  const colours = stageColours(run.spans);
  const panels = [RESIDENT, ...(hasValues(GPU, run) ? [GPU] : [])];

  const parts: string[] = [
    text(LEFT, 32, run.title, "title"),
    text(LEFT, 54, run.subtitle, "muted"),
    ...legend(run),
  ];
  let top = 98;
  parts.push(...spanBars(run.spans, top, x, colours));
  top += 30;
  for (const panel of panels) {
    parts.push(...panelParts(panel, run, top, x, time, colours));
    top += panel.height + GAP;
  }
  parts.push(...timeAxis(run, top - GAP, x, time));
  top += 56;
  parts.push(...table(run.spans, top, colours, panels.includes(GPU)));
  const height = top + ROW * (run.spans.length + 1) + 8;
  return chart(`${run.title}: memory over time`, { width: WIDTH, height }, STYLE, parts);
}

/** Gives each stage a colour, so that nodes of one stage share it. */
function stageColours(spans: readonly TimelineSpan[]): ReadonlyMap<string, string> {
  const stages = [...new Set(spans.map(({ stage }) => stage))];
  return new Map(stages.map((stage, index) => [stage, `var(--${SERIES[index % SERIES.length]})`]));
}

/** Returns whether a run has any value of a panel. */
function hasValues(panel: Panel, { spans, samples }: RunTimeline): boolean {
  return spans.some((span) => (panel.measured(span) ?? panel.predicted(span)) !== undefined) ||
    samples.some((sample) => panel.sample(sample) !== undefined);
}

function legend({ samples, steps }: RunTimeline): string[] {
  const entries = [
    ...(samples.length > 0 ? [["curve", "memory"]] : []),
    ["measured key", "measured peak"],
    ["predicted key", "predicted peak"],
    ...(steps.length > 0 ? [["step", "step"]] : []),
  ];
  let x = LEFT;
  return entries.flatMap(([kind, label]) => {
    const key = kind === "step" ? line(x + 13, 71, x + 13, 80, kind) : line(x, 75, x + 26, 75, kind!);
    const name = text(x + 34, 79, label!, "small muted");
    x += 34 + label!.length * LETTER + 20;
    return [key, name];
  });
}

/** Draws the nodes as bars over the plot, with their names where there is room. */
function spanBars(
  spans: readonly TimelineSpan[],
  top: number,
  x: (seconds: number) => number,
  colours: ReadonlyMap<string, string>,
): string[] {
  return spans.flatMap((span) => {
    const [from, to] = [x(span.start), x(span.end)];
    const tip = `${span.node}: ${duration(span.end - span.start)}`;
    const bar = element(
      "rect",
      {
        x: from,
        y: top,
        width: Math.max(2, to - from - 1),
        height: 20,
        rx: 3,
        fill: colours.get(span.stage),
      },
      element("title", {}, escapeMarkup(tip)),
    );
    const label = [tip, span.node].find((label) => label.length * LETTER + 12 < to - from);
    return label === undefined ? [bar] : [bar, text((from + to) / 2, top + 14, label, "within middle")];
  });
}

function panelParts(
  panel: Panel,
  run: RunTimeline,
  top: number,
  x: (seconds: number) => number,
  time: Scale,
  colours: ReadonlyMap<string, string>,
): string[] {
  const values = [
    ...run.samples.map(panel.sample),
    ...run.spans.flatMap((span) => [panel.measured(span), panel.predicted(span)]),
  ].filter((value) => value !== undefined);
  const memory = axisScale(Math.max(0, ...values), BYTES, { count: panel.height / 48, rounds: true });
  const bottom = top + panel.height;
  const y = (bytes: number): number => bottom - (panel.height * bytes) / memory.end;
  const parts = run.spans.map(({ start, end, stage }) =>
    element("rect", {
      x: x(start),
      y: top,
      width: x(end) - x(start),
      height: panel.height,
      fill: colours.get(stage),
      opacity: 0.07,
    })
  );
  for (const { value, label } of memory.ticks) {
    parts.push(line(LEFT, y(value), WIDTH - RIGHT, y(value), value === 0 ? "axis" : "grid"));
    parts.push(text(LEFT - 8, y(value) + 4, label, "small muted end"));
  }
  for (const { value } of time.ticks.slice(1)) parts.push(line(x(value), top, x(value), bottom, "grid"));
  const points = reduce(run.samples, panel.sample, x).map(([at, bytes]) => `${round(at)} ${round(y(bytes))}`);
  if (points.length > 1) {
    const [first, last] = [points[0]!.split(" ")[0], points.at(-1)!.split(" ")[0]];
    parts.push(
      element("path", { class: "area", d: `M${first} ${bottom}L${points.join("L")}L${last} ${bottom}Z` }),
    );
    parts.push(element("path", { class: "curve", d: `M${points.join("L")}` }));
  }
  for (const span of run.spans) {
    const levels = { measured: panel.measured(span), predicted: panel.predicted(span) };
    for (const [kind, bytes] of Object.entries(levels)) {
      if (bytes === undefined) continue;
      const to = Math.max(x(span.end) - 1, x(span.start) + 4);
      parts.push(element(
        "line",
        {
          x1: x(span.start),
          y1: y(bytes),
          x2: to,
          y2: y(bytes),
          class: kind,
          stroke: colours.get(span.stage),
        },
        element("title", {}, escapeMarkup(`${span.node}, ${kind} peak: ${prettyBytes(bytes)}`)),
      ));
    }
  }
  const label = { x: 16, y: top + panel.height / 2, class: "small muted middle" };
  const turned = { ...label, transform: `rotate(-90 ${label.x} ${label.y})` };
  return [...parts, element("text", turned, escapeMarkup(panel.label))];
}

/** Keeps only the largest sample of each column, so that no peak is lost. */
function reduce(
  samples: readonly MemorySample[],
  value: (sample: MemorySample) => number | undefined,
  x: (seconds: number) => number,
): [x: number, bytes: number][] {
  const columns = new Map<number, [x: number, bytes: number]>();
  for (const sample of samples) {
    const bytes = value(sample);
    if (bytes === undefined) continue;
    const at = x(sample.seconds);
    const column = Math.floor(((at - LEFT) / PLOT) * COLUMNS);
    const before = columns.get(column);
    if (before === undefined || before[1] < bytes) columns.set(column, [at, bytes]);
  }
  return [...columns.values()];
}

function timeAxis(
  { steps }: RunTimeline,
  top: number,
  x: (seconds: number) => number,
  time: Scale,
): string[] {
  return [
    ...steps.map((seconds) => line(x(seconds), top, x(seconds), top + 5, "step")),
    ...time.ticks.map(({ value, label }) => text(x(value), top + 20, label, "small muted middle")),
    text(LEFT + PLOT / 2, top + 40, "time since the run began", "small muted middle"),
  ];
}

/** Writes the figures below the plot, one node a row. */
function table(
  spans: readonly TimelineSpan[],
  top: number,
  colours: ReadonlyMap<string, string>,
  hasGpu: boolean,
): string[] {
  const amount = (bytes: number | undefined): string => bytes === undefined ? "–" : prettyBytes(bytes);
  const columns: (readonly [heading: string, cell: (span: TimelineSpan) => string])[] = [
    ["time", ({ start, end }) => duration(end - start)],
    ["loading", ({ loadSeconds }) => loadSeconds === undefined ? "–" : duration(loadSeconds)],
    ["measured peak", ({ peak }) => amount(peak)],
    ["predicted", ({ predictedPeak }) => amount(predictedPeak)],
    ["difference", ({ peak, predictedPeak }) => difference(peak, predictedPeak)],
    ...(hasGpu
      ? [
        ["GPU peak", ({ gpuPeak }: TimelineSpan) => amount(gpuPeak)],
        ["predicted", ({ predictedGpuPeak }: TimelineSpan) => amount(predictedGpuPeak)],
      ] as const
      : []),
  ];
  const names = 150;
  const right = (column: number): number => LEFT + names + ((PLOT - names) * (column + 1)) / columns.length;
  const heads = columns.map(([heading], column) => text(right(column), top, heading, "small muted end"));
  const rows = spans.flatMap((span, row) => {
    const y = top + ROW * (row + 1);
    return [
      line(LEFT, y - 16, WIDTH - RIGHT, y - 16, "grid"),
      element("rect", { x: LEFT, y: y - 10, width: 10, height: 10, rx: 2, fill: colours.get(span.stage) }),
      text(LEFT + 18, y, span.node, "strong"),
      ...columns.map(([, cell], column) => text(right(column), y, cell(span), "end")),
    ];
  });
  return [...heads, ...rows];
}

function difference(measured: number | undefined, predicted: number | undefined): string {
  if (measured === undefined || predicted === undefined) return "–";
  const percent = Math.round((100 * (measured - predicted)) / predicted);
  return percent === 0 ? "0 %" : `${percent > 0 ? "+" : "−"}${Math.abs(percent)} %`;
}

function duration(seconds: number): string {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(seconds < 100 ? 1 : 0)} s`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function text(x: number, y: number, content: string, kind: string): string {
  return element("text", { x, y, class: kind }, escapeMarkup(content));
}

function line(x1: number, y1: number, x2: number, y2: number, kind: string): string {
  return element("line", { x1, y1, x2, y2, class: kind });
}
