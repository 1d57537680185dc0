/**
 * The page of `compare`: both pictures under a slider, their difference, and the figures of both runs.
 *
 * @module
 */

import { extname } from "node:path";
import { InvalidArgumentError } from "commander";
import prettyBytes from "pretty-bytes";
import { toBase64 } from "../artifacts/base64.ts";
import type { TensorDifference } from "../artifacts/compare_tensors.ts";
import { element, escapeMarkup } from "../charts/markup.ts";
import { page } from "../charts/page.ts";
import type { AmplifiedDifference } from "../images/amplified_difference.ts";
import { encodePicture } from "../images/picture.ts";
import type { MemoryReport } from "./memory_report.ts";

/** One of the two runs. */
export interface ComparedRun {
  /** Its options. */
  readonly name: string;
  /** Its picture, as a PNG file. */
  readonly picture: Uint8Array;
  readonly seconds: number;
  readonly memory: MemoryReport;
}

/** How much the results differ. */
export interface ComparedResults {
  readonly embeddings: TensorDifference;
  readonly latents: TensorDifference;
  /** In decibels. */
  readonly psnr: number;
  readonly ssim: number;
  readonly gmsd: number;
}

/** What the page shows. */
export interface Comparison {
  readonly prompt: string;
  /** The options of both runs. */
  readonly common: string;
  readonly runs: readonly [a: ComparedRun, b: ComparedRun];
  readonly results: ComparedResults;
  readonly difference: AmplifiedDifference;
}

/** Parses the file of `--page`. */
export function pageFile(file: string): string {
  if (extname(file).toLowerCase() === ".html") return file;
  throw new InvalidArgumentError("The file must end in .html.");
}

const STYLE = ".views{display:flex;flex-wrap:wrap;gap:24px;align-items:flex-start}" +
  "figure{margin:0;flex:1 1 320px;max-width:512px}figcaption{padding:6px 0}" +
  // Small pictures are enlarged; their pixels stay visible.
  "img{display:block;width:100%;image-rendering:pixelated}" +
  ".both{position:relative;--at:50%}" +
  ".both .over{position:absolute;inset:0;clip-path:inset(0 0 0 var(--at))}" +
  ".both .line{position:absolute;top:0;bottom:0;left:var(--at);width:2px;margin-left:-1px;background:#fff;" +
  "box-shadow:0 0 0 1px #0008;pointer-events:none}" +
  ".both input{position:absolute;inset:0;width:100%;height:100%;margin:0;opacity:0;cursor:ew-resize}" +
  ".both input:focus-visible~.line{width:4px;margin-left:-2px;background:var(--first)}" +
  ".names{display:flex;justify-content:space-between;gap:16px}";

const SCRIPT = `const slider = document.querySelector("input");
const both = document.querySelector(".both");
const move = () => both.style.setProperty("--at", slider.value + "%");
slider.addEventListener("input", move);
move();`;

/** Writes the page. It loads nothing. */
export async function comparePage(comparison: Comparison): Promise<string> {
  const { prompt, common, runs: [a, b], difference } = comparison;
  const drawn = await encodePicture(difference.pixels, { format: "png" });
  const views = [
    figure(
      element(
        "div",
        { class: "both" },
        image(a.picture, `Picture A: ${a.name}`),
        element("div", { class: "over" }, image(b.picture, `Picture B: ${b.name}`)),
        '<input type="range" min="0" max="100" step="0.25" value="50" aria-label="Share of picture A that is shown">',
        '<div class="line"></div>',
      ),
      element("div", { class: "names" }, named("A", a), named("B", b)),
    ),
    figure(image(drawn, "Difference of the pictures"), escapeMarkup(describeDifference(difference))),
  ];
  const settings = common === "" ? "" : ` Both runs: ${common}.`;
  return page({
    title: `${prompt}: ${a.name} and ${b.name}`,
    style: STYLE,
    script: SCRIPT,
    body: [
      element("h1", {}, escapeMarkup(prompt)),
      element("p", { class: "muted" }, escapeMarkup(`Drag the slider, or use the arrow keys.${settings}`)),
      element("div", { class: "views" }, ...views),
      similarityTable(comparison.results),
      runTable(comparison.runs),
    ].join("\n"),
  });
}

function describeDifference({ factor, largest }: AmplifiedDifference): string {
  if (largest === 0) return "Difference: none. The pictures are identical.";
  return `Difference, amplified ${factor} times. The largest difference of a channel is ${largest} of 255.`;
}

function similarityTable({ psnr, ssim, gmsd, embeddings, latents }: ComparedResults): string {
  const tensors = ({ cosine, relativeError }: TensorDifference): string =>
    `cosine ${cosine.toFixed(6)}, relative error ${relativeError.toExponential(2)}`;
  return table(["measure", "value", "meaning"], [
    [
      "PSNR",
      decibels(psnr),
      "above 40 dB, a difference is hardly visible",
    ],
    ["SSIM", ssim.toFixed(4), "similarity of structures; 1 for equal pictures"],
    ["GMSD", gmsd.toFixed(4), "perceptual: differences of edges; 0 for equal pictures"],
    ["embeddings", tensors(embeddings), "what the text encoder produced"],
    ["latents", tensors(latents), "what the transformer produced"],
  ]);
}

/** Writes a ratio in decibels. That of identical pictures is infinite. */
export function decibels(psnr: number): string {
  return psnr === Infinity ? "∞" : `${psnr.toFixed(2)} dB`;
}

function runTable([a, b]: Comparison["runs"]): string {
  const stages = [...new Set([a, b].flatMap(({ memory }) => memory.stages.map(({ node }) => node)))];
  const stage = ({ memory }: ComparedRun, node: string): string => {
    const found = memory.stages.find((line) => line.node === node);
    if (found === undefined) return "–";
    const seconds = ((found.loadSeconds ?? 0) + found.runSeconds).toFixed(1);
    return `${seconds} s${found.peak === undefined ? "" : `, ${prettyBytes(found.peak)}`}`;
  };
  return table(["time and peak memory", `A: ${a.name}`, `B: ${b.name}`], [
    [
      "whole run",
      ...[a, b].map(({ seconds, memory }) => `${seconds.toFixed(1)} s, ${prettyBytes(memory.peakBytes)}`),
    ],
    ...stages.map((node) => [node, stage(a, node), stage(b, node)]),
  ]);
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cell: "th" | "td", texts: readonly string[]): string =>
    element("tr", {}, ...texts.map((text) => element(cell, {}, escapeMarkup(text))));
  return element("table", {}, row("th", heads), ...rows.map((texts) => row("td", texts)));
}

function figure(content: string, caption: string): string {
  return element("figure", {}, content, element("figcaption", {}, caption));
}

function named(letter: string, { name }: ComparedRun): string {
  return element("span", {}, element("b", {}, letter), ` ${escapeMarkup(name)}`);
}

/** Writes a picture into the page. An image element has no end tag. */
function image(png: Uint8Array, description: string): string {
  return `<img src="data:image/png;base64,${toBase64(png)}" alt="${escapeMarkup(description)}">`;
}
