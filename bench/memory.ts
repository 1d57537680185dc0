/**
 * Measures peak memory and seconds of one picture at the checkpoint's own size, here and in diffusers, on one
 * checkpoint:
 *
 *     deno task synthesize DIR --dtype float16
 *     deno run -A bench/memory.ts DIR --python .venv/bin/python
 *
 * Prints a table in Markdown. `--only pixstage` or `--only diffusers` omits the other; `--precision int8`
 * adds a run in int8 here.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import prettyBytes from "pretty-bytes";
import type { MemoryReport } from "../cli/memory_report.ts";

const PROMPT = "a cute cat on a chair in the sun";

interface Row {
  readonly name: string;
  readonly stages: readonly { readonly name: string; readonly peak: number; readonly seconds: number }[];
  readonly peak: number;
  readonly seconds: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string", default: "python3" },
    steps: { type: "string", default: "2" },
    dtype: { type: "string", default: "bfloat16" },
    only: { type: "string" },
    precision: { type: "string" },
  },
});
const [folder] = positionals;
if (folder === undefined) throw new TypeError("Cannot measure without a checkpoint: give its folder");

const rows: Row[] = [];
if (values.only !== "diffusers") rows.push(await pixstage([]));
if (values.precision) rows.push(await pixstage(["--precision", values.precision]));
if (values.only !== "pixstage") rows.push(await diffusers());
print(rows);

async function pixstage(options: string[]): Promise<Row> {
  const cli = fileURLToPath(new URL("../cli.ts", import.meta.url));
  const output = await Deno.makeTempFile({ suffix: ".png" });
  const started = performance.now();
  const lines = await outputOf(Deno.execPath(), [
    ...["run", "-A", cli, "gen", PROMPT, "-m", folder!, "--steps", values.steps, "--guidance-scale", "4.5"],
    ...["--no-store", "--json", "-o", output, ...options],
  ]);
  const seconds = (performance.now() - started) / 1000;
  await Deno.remove(output);
  const report = lines.map((line) => JSON.parse(line)).find(({ type }) => type === "memory") as MemoryReport;
  return {
    name: ["pixstage", ...options].join(" "),
    stages: report.stages.map(({ node, peak = 0, loadSeconds = 0, runSeconds }) => ({
      name: node,
      peak,
      seconds: loadSeconds + runSeconds,
    })),
    peak: report.peakBytes,
    seconds,
  };
}

async function diffusers(): Promise<Row> {
  const script = fileURLToPath(new URL("./memory_diffusers.py", import.meta.url));
  const lines = await outputOf(values.python, [script, folder!, values.dtype, values.steps, PROMPT]);
  const { parts, peak, seconds } = JSON.parse(lines.at(-1)!) as {
    parts: Record<string, { peak: number; seconds: number }>;
    peak: number;
    seconds: number;
  };
  const stages = Object.entries(parts).map(([name, part]) => ({ name, ...part }));
  return { name: `diffusers ${values.dtype}`, stages, peak, seconds };
}

async function outputOf(command: string, args: string[]): Promise<string[]> {
  const { code, stdout } = await new Deno.Command(command, { args, stderr: "inherit" }).output();
  if (code !== 0) throw new Error(`Cannot measure because ${command} ended with status ${code}`);
  return new TextDecoder().decode(stdout).trim().split("\n");
}

function print(rows: readonly Row[]): void {
  const lines = ["| | peak resident | seconds | by stage |", "| --- | --- | --- | --- |"];
  for (const { name, stages, peak, seconds } of rows) {
    const parts = stages.map((stage) =>
      `${stage.name} ${prettyBytes(stage.peak)} ${stage.seconds.toFixed(0)} s`
    );
    lines.push(`| ${name} | ${prettyBytes(peak)} | ${seconds.toFixed(0)} | ${parts.join(", ")} |`);
  }
  Deno.stdout.writeSync(new TextEncoder().encode(`${lines.join("\n")}\n`));
}
