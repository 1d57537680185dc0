import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { LINUX, needing } from "../needing.ts";
import { inFolder, runCli, TINY } from "./run_cli.ts";

const OUTPUT = ["--no-resolution-binning", "--no-store", "-o", "cat.png"];
const SMALL = ["-m", TINY, "--steps", "2", "-W", "64", "-H", "64", ...OUTPUT];
/** A run of a second or two. Memory is sampled every 50 ms, and a fast machine ends a small run in 0.3 s. */
const LONGER = ["-m", TINY, "--steps", "20", "-W", "512", "-H", "512", ...OUTPUT];

/** The data that a page carries. */
interface ReportData {
  readonly report: { readonly peakBytes: number; readonly stages: { node: string; peak: number }[] };
  readonly samples: { readonly seconds: number; readonly resident: number }[];
}

async function dataOf(page: string): Promise<ReportData> {
  const [, json = ""] = /<script type="application\/json" id="report">(.*)<\/script>/.exec(
    await readFile(page, "utf8"),
  ) ?? [];
  return JSON.parse(json);
}

Deno.test(needing(LINUX, {
  name: "--memory-report draws the run that was measured, as a page and as a picture",
  fn: () =>
    inFolder(async (folder) => {
      const page = join(folder, "run.html");
      const run = await runCli(folder, "gen", "a cat", ...LONGER, "--memory-report", page);
      assert.equal(run.status, 0, run.stderr);
      assert.deepEqual(run.stdout.trim().split("\n"), [join(folder, "cat.png"), page]);
      assert.equal(run.stderr, "", "the table is left out");
      const { report, samples } = await dataOf(page);
      assert.deepEqual(report.stages.map(({ node }) => node), ["prompt", "denoise", "decode"]);
      const highest = Math.max(...samples.map(({ resident }) => resident));
      assert(samples.length >= 5, `${samples.length} samples`);
      assert(highest <= 1.01 * report.peakBytes && highest > 0.6 * report.peakBytes, `${highest}`);
      assert.match(await readFile(page, "utf8"), /tiny-alpha-512, 512 × 512, 20 steps/);

      const picture = join(folder, "latents.svg");
      const encoded = await runCli(
        folder,
        ...["encode", "a cat", "-m", TINY, "--no-store", "--memory-report", picture, "-o", "x.safetensors"],
      );
      assert.equal(encoded.status, 0, encoded.stderr);
      assert.match(await readFile(picture, "utf8"), /^<svg [^]*class="curve"[^]*<\/svg>$/);
    }),
}));

Deno.test(needing(LINUX, {
  name: "the curve includes the processes that run stages",
  fn: () =>
    inFolder(async (folder) => {
      const peakOf = async (executor: string): Promise<number> => {
        const page = join(folder, `${executor}.html`);
        const run = await runCli(
          folder,
          ...["gen", "a cat", ...SMALL, "--executor", executor, "--memory-report", page],
        );
        assert.equal(run.status, 0, run.stderr);
        return Math.max(...(await dataOf(page)).samples.map(({ resident }) => resident));
      };
      assert(await peakOf("process") > await peakOf("inline") + 50e6);
    }),
}));

Deno.test("a report that cannot be written is refused before anything runs", () =>
  inFolder(async (folder) => {
    const refused = await runCli(folder, "gen", "a cat", ...SMALL, "--memory-report", "run.pdf");
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /must end in \.html or \.svg/);
    const swallowed = await runCli(folder, "gen", ...SMALL, "--memory-report", "a cat");
    assert.match(swallowed.stderr, /put the option after the prompt/);
    await mkdir(join(folder, "folder.svg"));
    const isFolder = await runCli(
      folder,
      "gen",
      "a cat",
      ...SMALL,
      "--json",
      "--memory-report",
      "folder.svg",
    );
    assert.equal(isFolder.status, 1);
    assert.match(isFolder.stderr, /Cannot write ".*folder.svg" because it is a folder/);
    assert.equal(isFolder.stdout, "");
    assert(!existsSync(join(folder, "cat.png")));
  }));
