import assert from "node:assert/strict";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, runCli, storeOf, TINY } from "../cli/run_cli.ts";

const MODEL = ["-m", TINY];
const SMALL = ["--steps", "2", "-W", "64", "-H", "64", "--no-resolution-binning", "--no-store"];

Deno.test("plan tells each stage, and fails where nothing fits", () =>
  inFolder(async (folder) => {
    const fitting = await runCli(folder, ...["plan", "a cat", ...MODEL, "--max-memory", "2GB", "--json"]);
    assert.equal(fitting.status, 0, fitting.stderr);
    const { fits, stages } = JSON.parse(fitting.stdout);
    assert.deepEqual([fits, stages.map(({ stage }: { stage: string }) => stage)], [true, [
      "encode",
      "denoise",
      "decode",
    ]]);
    const failing = await runCli(folder, ...["plan", "a cat", ...MODEL, "--max-memory", "10MB"]);
    assert.equal(failing.status, 1);
    assert.match(failing.stdout, /more than allowed/);
  }));

Deno.test("gen follows the plan, and reports what each stage took beside what was predicted", () =>
  inFolder(async (folder) => {
    const output = join(folder, "cat.png");
    const run = await runCli(folder, ...[
      "gen",
      "a cat",
      ...MODEL,
      ...SMALL,
      "--max-memory",
      "2GB",
      "--json",
      "-o",
      output,
    ]);
    assert.equal(run.status, 0, run.stderr);
    const events = run.stdout.trim().split("\n").map((line) => JSON.parse(line));
    const report = events.find(({ type }) => type === "memory");
    const decode = report.stages.find(({ node }: { node: string }) => node === "decode");
    assert(decode.peak > 0 && decode.predictedPeak > 0 && decode.runSeconds > 0);
    assert(report.peakBytes >= decode.peak);
    const refused = await runCli(folder, ...[
      "gen",
      "a cat",
      ...MODEL,
      ...SMALL,
      "--max-memory",
      "10MB",
      "-o",
      output,
    ]);
    assert.match(refused.stderr, /Cannot stay within 10 MB as encode needs/);
  }));

Deno.test("compare tells how far two ways are apart, and puts both pictures into one", () =>
  inFolder(async (folder) => {
    const output = join(folder, "both.png");
    const set = "steps=2,width=64,height=64,vae-tiling=none";
    const ways = ["--a", "precision=float32", "--b", "precision=int8", "--set", set];
    const run = await runCli(folder, ...["compare", "a cat", ...MODEL, ...ways, "--json", "-o", output]);
    assert.equal(run.status, 0, run.stderr);
    const { embeddings, latents, psnr, ssim, ways: taken } = JSON.parse(run.stdout);
    assert(embeddings.cosine > 0.99 && embeddings.relativeError > 0);
    assert(latents.relativeError > 0 && psnr > 20 && ssim > 0.5 && taken.length === 2);
    const { pixels } = await decodePicture(await Deno.readFile(output));
    assert(pixels.width > 2 * pixels.height);
    await Deno.remove(`${storeOf(folder)}-quantized`, { recursive: true });
  }));
