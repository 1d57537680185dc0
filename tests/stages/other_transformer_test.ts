import assert from "node:assert/strict";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readArtifact, readSafetensorsFile } from "../../artifacts/files_on_disk.ts";
import { encodeSafetensors } from "../../artifacts/safetensors.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { inFolder, TINY } from "../cli/run_cli.ts";
import { runHere } from "../cli/run_here.ts";
import REFERENCE from "./other_transformer.json" with { type: "json" };

const FILE = "diffusion_pytorch_model.safetensors";
const SMALL = ["-m", TINY, "-W", "64", "-H", "48", "--no-resolution-binning", "-s", "7", "--no-store"];

/**
 * Writes the reference's other transformer in the layout of PixArt-DMD: transformer and scheduler, without an
 * index.
 */
async function writeStudent(folder: string): Promise<string> {
  const student = join(folder, "student");
  await cp(join(TINY, "transformer/config.json"), join(student, "transformer/config.json"), {
    recursive: true,
  });
  const { tensors } = await readSafetensorsFile(join(TINY, "transformer", FILE));
  for (const name of ["proj_out.weight", "proj_out.bias"]) {
    const { shape, data } = tensors[name]!;
    tensors[name] = tensor("float32", shape, Float32Array.from(data as Float32Array, (value) => value / 2));
  }
  await writeFile(join(student, "transformer", FILE), encodeSafetensors(tensors));
  await mkdir(join(student, "scheduler"));
  const config = { _class_name: "DDPMScheduler", ...REFERENCE.scheduler };
  await writeFile(join(student, "scheduler/scheduler_config.json"), JSON.stringify(config));
  return student;
}

/** Runs `gen` to its latents. */
async function latents(folder: string, ...args: string[]): Promise<Float32Array> {
  const { status, stderr } = await runHere(
    folder,
    ...["gen", "cute cat", ...SMALL, "--until", "denoise", "--save-latents", "l.safetensors", ...args],
  );
  assert.equal(status, 0, stderr);
  return (await readArtifact(join(folder, "l.safetensors"))).tensors["latents"]!.data as Float32Array;
}

/** Returns the largest difference as a fraction of the largest value. */
function deviation(actual: Float32Array, expected: readonly number[]): number {
  assert.equal(actual.length, expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, index) => Math.abs(value - actual[index]!))) / largest;
}

Deno.test("--transformer uses another transformer and the scheduler next to it, as published for PixArt-DMD", () =>
  inFolder(async (folder) => {
    const student = await writeStudent(folder);
    const [oneStep, fourSteps] = REFERENCE.runs;
    const made = await latents(
      folder,
      ...["--transformer", student, "--timesteps", "400", "--guidance-scale", "1"],
    );
    assert(deviation(made, oneStep!.latents) < 3e-6);
    const more = await latents(folder, "--transformer", student, "--steps", "4");
    assert(deviation(more, fourSteps!.latents) < 3e-6);
    assert(deviation(await latents(folder, "--steps", "4"), fourSteps!.latents) > 0.01);
  }));

Deno.test("a separate transformer uses the checkpoint's scheduler or the given one", () =>
  inFolder(async (folder) => {
    const alone = join(await writeStudent(folder), "transformer");
    const [, fourSteps] = REFERENCE.runs;
    const options = ["clip_sample=false", "timestep_spacing=leading"];
    const named = ["--scheduler", "ddpm", ...options.flatMap((option) => ["--scheduler-option", option])];
    const made = await latents(folder, "--transformer", alone, "--steps", "4", ...named);
    assert(deviation(made, fourSteps!.latents) < 3e-6);
    const { status, stderr } = await runHere(
      folder,
      ...["gen", "cute cat", ...SMALL, "--transformer", alone, "--timesteps", "400", "--guidance-scale", "1"],
    );
    assert.equal(status, 2);
    assert.match(stderr, /DPMSolverMultistepScheduler/);
  }));

Deno.test("a missing transformer is refused before anything is encoded", () =>
  inFolder(async (folder) => {
    const { status, stderr } = await runHere(
      folder,
      "gen",
      "cute cat",
      ...SMALL,
      "--transformer",
      "./nowhere",
    );
    assert.equal(status, 2);
    assert.match(stderr, /nowhere/);
  }));

Deno.test("a checkpoint without a scheduler runs with a given one and its defaults", () =>
  inFolder(async (folder) => {
    const model = join(folder, "model");
    await cp(TINY, model, { recursive: true });
    const file = join(model, "scheduler/scheduler_config.json");
    await writeFile(file, JSON.stringify({ _class_name: "EulerDiscreteScheduler" }));
    const args = ["-m", model, "--steps", "2", "--scheduler", "euler"];
    const expected = await latents(folder, ...args);
    await rm(join(model, "scheduler"), { recursive: true });
    assert.deepEqual(await latents(folder, ...args), expected);
    const { stderr } = await runHere(folder, "gen", "cute cat", ...SMALL, "-m", model);
    assert.match(stderr, /scheduler_config\.json is missing: add it, or name a scheduler/);
  }));
