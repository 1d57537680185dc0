import assert from "node:assert/strict";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { PROCESS_BYTES } from "../../models/memory.ts";
import { writeSyntheticCheckpoint } from "../../models/synthetic/write_checkpoint.ts";
import { inFolder, runCli, TINY } from "./run_cli.ts";

const MODEL = ["-m", TINY];
const SMALL = ["--steps", "2", "-W", "64", "-H", "64", "--no-resolution-binning", "--no-store"];

/** Returns the memory figures in a run's events. */
function memoryEvent(
  stdout: string,
): { stages: { node: string; executor: string; peak: number }[]; peakBytes: number } {
  const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
  return events.find(({ type }) => type === "memory");
}

Deno.test("plan lists each stage, and fails if nothing fits", () =>
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

Deno.test("gen follows the plan, and reports the predicted and the measured memory of each stage", () =>
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
    assert.match(refused.stderr, /Cannot stay within 10 MB because encode needs/);
  }));

Deno.test("a picture enlarged to the requested size counts for the prediction, the limit and the plan", () =>
  inFolder(async (folder) => {
    const large = ["cat", "--steps", "2", "-W", "3000", "-H", "2500"];
    const run = await runCli(folder, ...["gen", ...large, "--no-store", "--json", "-o", "cat.png"]);
    assert.equal(run.status, 0, run.stderr);
    const events = run.stdout.trim().split("\n").map((line) => JSON.parse(line));
    const { peakBytes, predictedPeak } = events.find(({ type }) => type === "memory");
    assert(
      predictedPeak >= peakBytes && predictedPeak < 1.3 * peakBytes,
      `${predictedPeak} for ${peakBytes}`,
    );
    const plan = await runCli(folder, "plan", ...large, "--max-memory", "300MB", "--json");
    assert.deepEqual([plan.status, JSON.parse(plan.stdout).predictedPeak], [1, predictedPeak]);
    const refused = await runCli(folder, ...["gen", ...large, "--max-memory", "300MB", "-o", "refused.png"]);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /Cannot stay within 300 MB because decode needs 4\d\d MB/);
  }));

Deno.test("each command reports memory, including that of stages in separate processes", () =>
  inFolder(async (folder) => {
    const latents = join(folder, "cat.latents.safetensors");
    const gen = await runCli(folder, ...[
      ...["gen", "a cat", ...MODEL, ...SMALL, "--executor", "encode=process", "--json", "-o", "cat.png"],
      ...["--save-latents", latents],
    ]);
    assert.equal(gen.status, 0, gen.stderr);
    const { stages, peakBytes } = memoryEvent(gen.stdout);
    const predicted = async (...args: string[]): Promise<number> => {
      const plan = await runCli(folder, "plan", "a cat", ...MODEL, "--json", ...args);
      return JSON.parse(plan.stdout).predictedPeak;
    };
    assert.equal(await predicted("--executor", "process"), await predicted() + PROCESS_BYTES);
    const peaks = (executor: string): number[] =>
      stages.filter((stage) => stage.executor === executor).map(({ peak }) => peak);
    assert.equal(peaks("process").length, 1, "prompt and negative prompt are encoded in one run");
    assert(peakBytes >= Math.max(...peaks("process")) + Math.max(...peaks("inline")));

    const decode = await runCli(folder, ...[
      "decode",
      latents,
      ...MODEL,
      "--no-store",
      "--json",
      "-o",
      "cat.png",
    ]);
    assert.deepEqual(memoryEvent(decode.stdout).stages.map(({ node }) => node), ["decode"]);
    const told = await runCli(
      folder,
      ...["decode", latents, ...MODEL, "--no-store", "--memory-report", "-o", "cat.png"],
    );
    assert.match(told.stderr, /decode.*MB[^]*\npeak of the whole run: \d+ MB/);
    const limited = (size: string) =>
      runCli(folder, "decode", latents, ...MODEL, "--no-store", "--max-memory", size, "-o", "cat.png");
    assert.equal((await limited("1GB")).status, 0);
    const refused = await limited("10MB");
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /Cannot stay within 10 MB because decode needs/);
  }));

Deno.test("truncated weights are reported before any computation, whichever stage needs them", () =>
  inFolder(async (folder) => {
    const model = join(folder, "model");
    await writeSyntheticCheckpoint(model, { preset: "tiny", dtype: "float16" });
    for (const part of ["text_encoder/model-00002-of-00002", "vae/diffusion_pytorch_model"]) {
      const path = join(model, `${part}.safetensors`);
      const bytes = await Deno.readFile(path);
      await Deno.truncate(path, bytes.length - 100);
      const run = await runCli(folder, "gen", "a cat", "-m", model, ...SMALL, "--json", "-o", "cat.png");
      assert.equal(run.status, 1);
      assert(run.stderr.includes(`${part}.safetensors" as safetensors: file size must be`), run.stderr);
      assert.doesNotMatch(run.stdout, /stage:start/);
      await Deno.writeFile(path, bytes);
    }
  }));

Deno.test("--max-memory of 0 means no limit, and a negative one leaves that much memory free", () =>
  inFolder(async (folder) => {
    const plan = (size: string) => runCli(folder, "plan", "a cat", ...MODEL, "--max-memory", size, "--json");
    assert.equal(JSON.parse((await plan("0")).stdout).limitBytes, undefined);
    const { limitBytes } = JSON.parse((await plan("-10MB")).stdout);
    assert(limitBytes > 0 && limitBytes < Deno.systemMemoryInfo().total - 10e6);
    const refused = await plan("lots");
    assert.equal(refused.status, 2);
    assert.match(
      refused.stderr,
      /--max-memory <size>' argument 'lots' is invalid. A size must be a number with a unit, such as .*"lots"/,
    );
  }));

Deno.test("compare measures the difference of two runs, and puts both pictures into one", () =>
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
  }));
