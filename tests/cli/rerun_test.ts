import assert from "node:assert/strict";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { inputPath } from "../stages/images/picture_goldens.ts";
import { inFolder, storeOf, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SMALL = ["-m", TINY, "-W", "48", "-H", "32", "--no-resolution-binning", "--steps", "3"];
const PICTURE = inputPath("shapes-75x53");

/** Runs a command that must succeed. Returns what it says. */
async function run(folder: string, ...args: string[]): Promise<string> {
  const { status, stderr } = await runHere(folder, ...args);
  assert.equal(status, 0, stderr);
  return stderr;
}

async function refused(folder: string, status: number, fault: RegExp, ...args: string[]): Promise<void> {
  const result = await runHere(folder, ...args);
  assert.match(result.stderr, fault);
  assert.equal(result.status, status);
}

Deno.test("rerun writes the format that the output is named after", async () => {
  await inFolder(async (folder) => {
    const bytes = (name: string) => Deno.readFile(join(folder, name));
    for (const ending of ["png", "jpg", "webp"]) {
      await run(folder, "gen", "cat", ...SMALL, "-o", `c.${ending}`);
    }
    for (const [from, to] of [["png", "webp"], ["jpg", "png"], ["webp", "jpg"]]) {
      assert.equal(
        await run(folder, "rerun", `c.${from}`, "-o", `new.${to}`),
        "The picture is identical, but the format of the file is not\n",
      );
      assert.deepEqual(await bytes(`new.${to}`), await bytes(`c.${to}`), `${from} to ${to}`);
    }
    await run(folder, "rerun", "c.jpg", "-o", "same.jpeg");
    assert.equal((await decodePicture(await bytes("same.jpeg"))).format, "jpeg");
    const fault = /its extension must be \.png, \.jpg, \.jpeg or \.webp: give another name\n$/;
    for (const name of ["noext", "c.gif"]) await refused(folder, 2, fault, "rerun", "c.png", "-o", name);
  });
});

Deno.test("rerun refuses a change that leaves out the picture", async () => {
  await inFolder(async (folder) => {
    await run(folder, "gen", "cat", ...SMALL, "-b", "2", "--image", PICTURE, "-o", "p-%d.png");
    const fault =
      /^error: Cannot make .*p-1\.png again because it is picture 2 of its run, and the changed run /;
    await refused(folder, 2, fault, "rerun", "p-1.png", "--set", "denoise.imagesPerPrompt=1", "-o", "x.png");
  });
});

Deno.test("rerun and resume find the start picture with --no-store, and say what is missing", async () => {
  await inFolder(async (folder) => {
    await run(folder, "gen", "cat", ...SMALL, "--image", PICTURE, "-o", "i.png");
    assert.match(await run(folder, "rerun", "i.png", "--no-store", "-o", "r.png"), /The bytes are identical/);
    await run(folder, "resume", "i.png", "--from-step", "1", "--no-store", "-o", "s.png");
    // Every stage runs again. The results in the folder are not used.
    const { stdout } = await runHere(folder, "rerun", "i.png", "--no-store", "--json", "-o", "r.png");
    for (const stage of ["encode", "encode-image", "denoise", "decode"]) {
      assert.match(stdout, new RegExp(`"type":"stage:start","node":"[a-z-]+","stage":"${stage}"`));
    }
    await Deno.remove(storeOf(folder), { recursive: true });
    const fault =
      /^error: Cannot read artifact [0-9a-f]{64}, input "image" of "encode-image", because the store does not have it: /;
    for (const options of [[], ["--no-store"]]) {
      await refused(folder, 2, fault, "rerun", "i.png", ...options, "-o", "r.png");
    }
  });
});
