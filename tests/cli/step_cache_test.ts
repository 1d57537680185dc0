import assert from "node:assert/strict";
import { join } from "node:path";
import { readArtifact } from "../../artifacts/files_on_disk.ts";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SMALL = ["-m", TINY, "-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "4"];

Deno.test("a picture records its step cache, and rerun and resume make the same bytes", async () => {
  await inFolder(async (folder) => {
    const run = async (...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await runHere(folder, ...args);
      assert.equal(status, 0, stderr);
      return stdout + stderr;
    };
    await run("gen", "a cat", ...SMALL, "--step-cache", "1", "-o", "cat.png");
    const { metadata } = await decodePicture(await Deno.readFile(join(folder, "cat.png")));
    assert.match(metadata["parameters"]!, /Step cache: 1, Seed/);
    assert.match(await run("rerun", "cat.png", "--no-store"), /The bytes are identical/);

    const latents = async (name: string) => (await readArtifact(join(folder, name))).tensors["latents"]!.data;
    await run("encode", "a cat", "-m", TINY, "-o", "e.safetensors");
    const denoise = ["denoise", "e.safetensors", ...SMALL, "--step-cache", "1"];
    await run(...denoise, "-o", "whole.safetensors");
    await run(...denoise, "--stop-after", "2", "-o", "two.safetensors");
    await run("resume", "two.safetensors", "--save-latents", "resumed.safetensors");
    assert.deepEqual(await latents("resumed.safetensors"), await latents("whole.safetensors"));
  });
});
