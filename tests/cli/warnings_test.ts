import assert from "node:assert/strict";
import { join } from "node:path";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SMALL = ["-m", TINY, "-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "2"];

/** Returns the warnings of a command, from the lines of the standard error and from events. */
async function warningsOf(folder: string, ...args: string[]): Promise<string[]> {
  const { status, stdout, stderr } = await runHere(folder, ...args, "--json");
  assert.equal(status, 0, stderr);
  return stdout.trim().split("\n").map((line) => JSON.parse(line))
    .flatMap(({ type, message }) => type === "warning" ? [message] : []);
}

Deno.test("gen warns of truncated and emptied prompts, even if the store has the result", async () => {
  await inFolder(async (folder) => {
    const long = ["gen", "a boat on the lake", ...SMALL, "--max-sequence-length", "4", "-o", "boat.png"];
    const { status, stderr } = await runHere(folder, ...long);
    assert.equal(status, 0);
    assert.match(
      stderr,
      /^warning: The prompt "a boat on the lake" has more than 4 tokens: ".*" was cut off\n$/,
    );
    assert.equal((await runHere(folder, ...long)).stderr, stderr);
    assert.equal((await warningsOf(folder, ...long)).length, 1);

    const emptied = ["gen", "一只可爱的猫", ...SMALL, "-o", "cat.png"];
    for (let run = 0; run < 2; run++) {
      const { stderr } = await runHere(folder, ...emptied);
      assert.match(
        stderr,
        /^warning: Cleaning the prompt "一只可爱的猫" left nothing: .*--no-clean-caption\)\n$/,
      );
    }
  });
});

Deno.test("options without effect cause a warning", async () => {
  await inFolder(async (folder) => {
    const latents = ["gen", "cat", ...SMALL, "--until", "denoise", "--save-latents", "l.safetensors"];
    assert.deepEqual(await warningsOf(folder, ...latents, "-o", "x.png", "--vae-tiling", "none"), [
      "--vae-tiling, --output have no effect because the run decodes nothing",
    ]);
    const decode = ["gen", "--load-latents", "l.safetensors", "-m", TINY, "-o", "cat.png"];
    assert.deepEqual(await warningsOf(folder, ...decode, "--steps", "9", "--no-clean-caption"), [
      "--no-clean-caption has no effect because the run encodes nothing",
      "--steps has no effect because the run denoises nothing",
    ]);
    assert.deepEqual(
      await warningsOf(
        folder,
        "gen",
        "cat",
        ...SMALL,
        "--lowest-precision",
        "int8",
        "--max-gpu-memory",
        "3GB",
      ),
      ['--max-gpu-memory has no effect with --device "cpu"'],
    );
    assert.deepEqual(await warningsOf(folder, "gen", "cat", ...SMALL, "--lowest-precision", "int8"), [
      "--lowest-precision has no effect without --max-memory or --max-gpu-memory",
    ]);
    assert.deepEqual(
      await warningsOf(folder, "gen", "cat", ...SMALL, "--no-store", "--checkpoint-every", "1"),
      [
        "--checkpoint-every has no effect with --no-store",
      ],
    );
    assert.deepEqual(
      await warningsOf(folder, "gen", "cat", ...SMALL, "-n", "dark", "--guidance-scale", "-1"),
      ["The negative prompt has no effect without guidance: the guidance scale is -1"],
    );
    assert.deepEqual(
      await warningsOf(
        folder,
        "encode",
        "cat",
        "-m",
        TINY,
        "--no-negative",
        "-n",
        "dark",
        "-o",
        "e.safetensors",
      ),
      ["--negative-prompt has no effect with --no-negative"],
    );
    assert.deepEqual(await warningsOf(folder, "gen", "cat", ...SMALL, "--vae-tile-size", "256"), [
      '--vae-tile-size has no effect with tiling "auto"',
    ]);
    assert.deepEqual(await warningsOf(folder, "gen", "cat", ...SMALL), []);
  });
});

Deno.test("resume decodes a picture again with another tiling", async () => {
  await inFolder(async (folder) => {
    await runHere(folder, "gen", "cat", ...SMALL, "-o", "cat.png");
    const blended = ["--vae-tiling", "blended", "--vae-tile-size", "64", "--vae-tile-overlap", "16"];
    const { status, stdout, stderr } = await runHere(
      folder,
      "resume",
      "cat.png",
      ...blended,
      "-o",
      "b.png",
      "--json",
    );
    assert.equal(status, 0, stderr);
    const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const ran = events.flatMap(({ type, stage }) => type === "stage:start" ? [stage] : []);
    assert.deepEqual(ran, ["decode"]);
    const inspected = JSON.parse((await runHere(folder, "inspect", "b.png", "--json")).stdout);
    assert.match(JSON.stringify(inspected), /blended/);
  });
});

Deno.test("errors name the actual format of a file", async () => {
  await inFolder(async (folder) => {
    await runHere(folder, "gen", "cat", ...SMALL, "-o", "cat.png");
    await Deno.writeTextFile(join(folder, "cat.gif"), "GIF89a and more");
    const refused = async (wanted: number, ...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await runHere(folder, ...args);
      assert.deepEqual([status, stdout], [wanted, ""]);
      return stderr;
    };
    const said = (...args: string[]) => refused(1, ...args);
    assert.match(
      await refused(2, "decode", "cat.png", "-m", TINY),
      /^error: Input "latents" of "decode" expects latents, but .*cat\.png contains image\n$/,
    );
    assert.match(
      await said("decode", "cat.gif", "-m", TINY),
      /^error: Cannot read ".*cat\.gif" because it is neither a picture \(PNG, JPEG, WebP\) nor safetensors: /,
    );
    assert.match(
      await said("rerun", "missing.png"),
      /^error: Cannot read ".*missing\.png" because there is no such file or folder: check the path\n$/,
    );
    assert.match(
      await said("resume", "missing.png"),
      /^error: Cannot read ".*missing\.png" because there is no such/,
    );
  });
});
