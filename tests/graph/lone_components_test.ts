import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, TINY } from "../cli/run_cli.ts";
import { runHere } from "../cli/run_here.ts";

const SMALL = ["-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "3"];

/** Copies some components of a checkpoint into a folder. */
async function partOf(folder: string, name: string, parts: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await cp(join(TINY, "model_index.json"), join(path, "model_index.json"), { recursive: true });
  for (const part of parts) await cp(join(TINY, part), join(path, part), { recursive: true });
  return path;
}

async function run(folder: string, ...args: string[]): Promise<void> {
  const { status, stderr } = await runHere(folder, ...args, "--no-store");
  assert.equal(status, 0, stderr);
}

Deno.test("each stage runs with only its own components, as on three machines", async () => {
  await inFolder(async (folder) => {
    const text = await partOf(folder, "text", ["tokenizer", "text_encoder"]);
    const denoiser = await partOf(folder, "denoiser", ["transformer", "scheduler"]);
    const both = await partOf(folder, "both", ["transformer", "scheduler", "vae"]);
    const vae = join(folder, "vae-alone");
    await cp(join(TINY, "vae"), vae, { recursive: true });
    const tensor = (name: string): Uint8Array => Deno.readFileSync(join(folder, name));

    await run(folder, "encode", "cute cat", "-m", text, "-o", "e.safetensors");
    await run(folder, "denoise", "e.safetensors", "-m", denoiser, ...SMALL, "-o", "l.safetensors");
    await run(
      folder,
      "decode",
      "l.safetensors",
      "-m",
      vae,
      "-o",
      "three.png",
      "--save-tensor",
      "three.safetensors",
    );
    await run(
      folder,
      "gen",
      "--load-embeds",
      "e.safetensors",
      "-m",
      both,
      ...SMALL,
      "-o",
      "both.png",
      "--save-latents",
      "l2.safetensors",
    );
    await run(folder, "gen", "cute cat", "-m", TINY, ...SMALL, "-o", "whole.png");
    const pixels = async (name: string): Promise<unknown> => (await decodePicture(tensor(name))).pixels;
    assert.deepEqual(await pixels("three.png"), await pixels("whole.png"));
    assert.deepEqual(await pixels("both.png"), await pixels("whole.png"));

    const { status, stderr } = await runHere(folder, "gen", "cute cat", "-m", both, ...SMALL);
    assert.equal(status, 1);
    assert.match(stderr, /text_encoder\/config\.json is missing/);
  });
});

Deno.test("a copy of a checkpoint finds the original's results, and a changed copy does not", async () => {
  await inFolder(async (folder) => {
    const copy = join(folder, "elsewhere", "tiny-alpha-512");
    await cp(TINY, copy, { recursive: true });
    const cached = async (model: string): Promise<string[]> => {
      const args = ["gen", "cute cat", "-m", model, ...SMALL, "-o", "x.png", "--json"];
      const { status, stdout, stderr } = await runHere(folder, ...args);
      assert.equal(status, 0, stderr);
      return stdout.trim().split("\n").map((line) => JSON.parse(line))
        .filter(({ type }) => type === "stage:cached").map(({ node }) => node);
    };
    // Both texts go through the encoder in one run, that of the first node.
    assert.deepEqual(await cached(TINY), ["negative"]);
    assert.deepEqual(await cached(copy), ["prompt", "negative", "denoise", "decode"]);
    const weights = join(copy, "vae", "diffusion_pytorch_model.safetensors");
    const bytes = await Deno.readFile(weights);
    bytes[bytes.length - 2]! ^= 1;
    await Deno.writeFile(weights, bytes);
    assert.deepEqual(await cached(copy), ["prompt", "negative", "denoise"]);
  });
});

Deno.test("another scheduler encodes nothing again, and another format denoises nothing again", async () => {
  await inFolder(async (folder) => {
    const ran = async (...args: string[]): Promise<string[]> => {
      const all = ["gen", "cute cat", "-m", TINY, ...SMALL, "--json", ...args];
      const { status, stdout, stderr } = await runHere(folder, ...all);
      assert.equal(status, 0, stderr);
      return stdout.trim().split("\n").map((line) => JSON.parse(line))
        .filter(({ type }) => type === "stage:start").map(({ node }) => node);
    };
    assert.deepEqual(await ran("-o", "a.png"), ["prompt", "denoise", "decode"]);
    assert.deepEqual(await ran("-o", "a.png", "--scheduler", "euler"), ["denoise", "decode"]);
    assert.deepEqual(await ran("-o", "a.webp"), []);
    // Explicit values that equal the defaults change nothing.
    assert.deepEqual(await ran("-o", "a.png", "--guidance-scale", "4.5", "--seed", "0"), []);
    assert.deepEqual(await ran("-o", "b.png", "--negative-prompt", "blurry"), [
      "negative",
      "denoise",
      "decode",
    ]);
  });
});
