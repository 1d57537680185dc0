import assert from "node:assert/strict";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SMALL = ["-m", TINY, "-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "4"];

Deno.test("pictures record the interval and their own negative prompts, and rerun makes the same bytes", async () => {
  await inFolder(async (folder) => {
    const run = async (...args: string[]): Promise<string> => {
      const { status, stderr } = await runHere(folder, ...args);
      assert.equal(status, 0, stderr);
      return stderr;
    };
    const negatives = ["-n", "dark", "-n", "blurry", "--guidance-interval", "0.25,0.75"];
    await run("gen", "a cat", "a boat", ...SMALL, ...negatives, "-o", "%d.png");
    for (const [index, negative] of ["dark", "blurry"].entries()) {
      const { metadata } = await decodePicture(await Deno.readFile(join(folder, `${index}.png`)));
      assert.match(metadata["parameters"]!, new RegExp(`\nNegative prompt: ${negative}\n`));
      assert.match(metadata["parameters"]!, /CFG scale: 4\.5, Guidance interval: 0\.25-0\.75, Seed/);
    }
    assert.match(await run("rerun", "1.png", "--no-store"), /The bytes are identical/);
    await run("plan", "a cat", ...SMALL, "--guidance-interval", "0,0.5");
  });
});

Deno.test("a wrong number of negative prompts is refused with the name of the option", async () => {
  await inFolder(async (folder) => {
    const { status, stderr } = await runHere(folder, "gen", "a", "b", "c", ...SMALL, "-n", "x", "-n", "y");
    assert.equal(status, 2);
    assert.match(stderr, /^error: .*--negative-prompt.*expected 1 or 3/);
  });
});
