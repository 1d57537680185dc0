/**
 * Draws the plots of docs/memory.md and docs/speed.md from the tables in these documents, which hold the
 * figures that the benchmarks printed.
 *
 *     deno task docs:plots
 *
 * @module
 */

import { barChart } from "../charts/bars.ts";

/** A plot of a table. */
interface Plot {
  /** The document of the table, in docs/. */
  readonly document: string;
  /** The file of the plot, in docs/. */
  readonly file: string;
  readonly title: string;
  readonly unit: string;
  /** The columns to draw, by their headings. Only one table of the document has all of them. */
  readonly columns: readonly string[];
}

const DOCS = new URL("../docs/", import.meta.url);

/** All plots. */
export const PLOTS: readonly Plot[] = [{
  document: "memory.md",
  file: "memory_predictions.svg",
  title: "Peak resident memory, predicted and measured",
  unit: "MB",
  columns: ["predicted", "measured"],
}, {
  document: "memory.md",
  file: "memory_diffusers.svg",
  title: "Peak resident memory at 1024 × 1024 with the whole T5-XXL",
  unit: "GB",
  columns: ["peak resident", "by stage"],
}, {
  document: "memory.md",
  file: "memory_diffusers_time.svg",
  title: "Time of the same runs, 2 steps",
  unit: "s",
  columns: ["seconds", "by stage"],
}, {
  document: "speed.md",
  file: "speed_step.svg",
  title: "One step of PixArt-XL at 512 × 512 with guidance, float32",
  unit: "s",
  columns: ["pixstage", "PyTorch"],
}, {
  document: "speed.md",
  file: "speed_int8.svg",
  title: "One step of PixArt-XL’s blocks by precision",
  unit: "s",
  columns: ["float32", "int8-blocks", "int8", "PyTorch bfloat16"],
}];

/** Draws a plot from its document. */
export function drawPlot({ document, title, unit, columns }: Plot): string {
  const { head, rows } = findTable(Deno.readTextFileSync(new URL(document, DOCS)), columns);
  // A column without numbers serves only to tell tables apart.
  const drawn = columns.map((name) => head.indexOf(name)).filter((column) =>
    rows.some((row) => /^[\d.]/.test(row[column]!))
  );
  return barChart({
    title,
    unit,
    series: drawn.map((column) => head[column]!),
    groups: rows.map((row) => ({ label: row[0]!, values: drawn.map((column) => firstNumber(row[column]!)) })),
  });
}

/** Finds the table with all of the columns. */
function findTable(document: string, columns: readonly string[]) {
  const tables = [...document.matchAll(/(?:^\|.*\n)+/gm)].map(([table]) =>
    table.trim().split("\n").map(cells)
  );
  const found = tables.filter(([head]) => columns.every((column) => head!.includes(column)));
  if (found.length !== 1) throw new Error(`${found.length} tables have the columns ${columns.join(", ")}`);
  const [head, _line, ...rows] = found[0]!;
  return { head: head!, rows };
}

/** Returns the texts of a table's row, without marks for bold letters and code. */
function cells(line: string): string[] {
  return line.split("|").slice(1, -1).map((cell) => cell.replaceAll(/[*`]/g, "").trim());
}

function firstNumber(cell: string): number | undefined {
  const [number] = /^[\d.]+/.exec(cell) ?? [];
  return number === undefined ? undefined : Number(number);
}

if (import.meta.main) {
  for (const plot of PLOTS) Deno.writeTextFileSync(new URL(plot.file, DOCS), drawPlot(plot));
}
