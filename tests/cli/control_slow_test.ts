import assert from "node:assert/strict";
import { join } from "node:path";
import { goldenPath } from "../goldens.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SMALL = ["-m", TINY, "-W", "64", "-H", "64", "--no-resolution-binning", "--steps", "2"];
const CONTROL = ["--controlnet", goldenPath("extras/controlnet/adapters/tiny-alpha-512-control")];
const EDGES = ["--control-image", goldenPath("extras/inputs/edges-101x71.png")];

Deno.test("gen and denoise follow a picture, rerun makes the same bytes, and plan predicts more memory", async () => {
  await inFolder(async (folder) => {
    const run = async (...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await runHere(folder, ...args);
      assert.equal(status, 0, stderr);
      return stdout + stderr;
    };
    const bytes = async (name: string) => (await Deno.readFile(join(folder, name))).toHex();
    await run("gen", "cat", ...SMALL, "--save-latents", "plain.safetensors", "-o", "plain.png");
    const control = [...CONTROL, ...EDGES];
    await run("gen", "cat", ...SMALL, ...control, "--save-latents", "l.safetensors", "-o", "cat.png");
    assert.notEqual(await bytes("l.safetensors"), await bytes("plain.safetensors"));
    assert.match(await run("rerun", "cat.png"), /The bytes are identical/);
    const peak = async (...args: string[]): Promise<number> => {
      const { stages } = JSON.parse(await run("plan", "cat", ...SMALL, ...args, "--json"));
      return stages.find(({ stage }: { stage: string }) => stage === "denoise").weightBytes;
    };
    assert.ok(await peak(...control) > await peak());
    // No size is given, so the resumed run has that of the control picture.
    const wide = [...CONTROL, "--control-image", goldenPath("extras/inputs/edges-96x64.png")];
    await run("gen", "cat", "-m", TINY, "--steps", "2", ...wide, "-o", "wide.png");
    await run("resume", "wide.png", "--from-step", "1", "--guidance-scale", "2", "-o", "other.png");
    await run("encode", "cat", "-m", TINY, "-o", "e.safetensors");
    await run("denoise", "e.safetensors", ...SMALL, ...control, "-o", "again.safetensors");
  });
});

Deno.test("a ControlNet without a picture and a picture without a ControlNet are refused", async () => {
  await inFolder(async (folder) => {
    for (const [given, name] of [[CONTROL, "--controlnet"], [EDGES, "--control-image"]] as const) {
      const { status, stderr } = await runHere(folder, "gen", "cat", ...SMALL, ...given);
      assert.equal(status, 2);
      assert.match(
        stderr,
        new RegExp(`^error: ${name}: .*A ControlNet and the picture that it follows belong together`),
      );
    }
    const missing = ["--control-image", "nowhere.png"];
    const { status, stderr } = await runHere(folder, "gen", "cat", ...SMALL, ...CONTROL, ...missing);
    assert.notEqual(status, 0);
    assert.match(stderr, /nowhere\.png/);
  });
});
