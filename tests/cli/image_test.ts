import assert from "node:assert/strict";
import { join } from "node:path";
import { decodePicture, encodePicture } from "../../images/picture.ts";
import { inputPath } from "../stages/images/picture_goldens.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const PICTURE = inputPath("shapes-75x53");
const MASK = inputPath("mask-hard-51x77");
const SMALL = [
  "-m",
  TINY,
  "-W",
  "48",
  "-H",
  "32",
  "--no-resolution-binning",
  "--steps",
  "4",
  "--guidance-scale",
  "1",
];

async function run(folder: string, ...args: string[]): Promise<string> {
  const { status, stderr } = await runHere(folder, ...args);
  assert.equal(status, 0, stderr);
  return stderr;
}

Deno.test("gen starts from a picture, and the result records enough to be made again", async () => {
  await inFolder(async (folder) => {
    const options = [...SMALL, "--image", PICTURE, "--mask", MASK, "--strength", "0.6"];
    await run(folder, "gen", "cute cat", ...options, "-o", "cat.png");
    const { metadata, pixels } = await decodePicture(await Deno.readFile(join(folder, "cat.png")));
    assert.match(metadata["parameters"]!, /Denoising strength: 0\.6/);
    assert.deepEqual([pixels.width, pixels.height], [48, 32]);
    assert.match(await run(folder, "rerun", "cat.png", "-o", "again.png"), /The bytes are identical/);
    await run(folder, "resume", "cat.png", "--from-step", "1", "--guidance-scale", "1.5", "-o", "other.png");
    await run(folder, "resume", "cat.png", "--seed", "5", "-o", "seed.png");
    const direct = ["gen", "cute cat", ...options, "--seed", "5", "--no-store", "-o", "direct.png"];
    await run(folder, ...direct);
    const [seed, same] = await Promise.all(
      ["seed.png", "direct.png"].map(async (name) =>
        (await decodePicture(await Deno.readFile(join(folder, name)))).pixels
      ),
    );
    assert.deepEqual(seed!.data, same!.data);
  });
});

Deno.test("gen refuses pictures and masks that it cannot start from", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "notes.txt"), "no picture");
    const pixels = { width: 9, height: 9, data: new Uint8Array(243) };
    await Deno.writeFile(
      join(folder, "cut.png"),
      (await encodePicture(pixels, { format: "png" })).slice(0, -30),
    );
    const refused = async (fault: RegExp, ...args: string[]): Promise<void> => {
      const { status, stderr } = await runHere(folder, "gen", "cat", ...SMALL, "-o", "x.png", ...args);
      assert.notEqual(status, 0, args.join(" "));
      assert.match(stderr, fault);
    };
    await refused(/--strength must be at most 1/, "--image", PICTURE, "--strength", "1.5");
    await refused(/steps times strength is less than 1/, "--image", PICTURE, "--strength", "0.1");
    await refused(/--mask.*without a picture/s, "--mask", MASK);
    await refused(/--soft-mask.*without a mask/s, "--image", PICTURE, "--soft-mask");
    await Deno.writeTextFile(join(folder, "x.gif"), "GIF89a, and more");
    for (const name of ["notes.txt", "x.gif"]) {
      const fault =
        `Cannot read ".*${name}" because it is neither a picture \\(PNG, JPEG, WebP\\) nor safetensors: `;
      await refused(new RegExp(fault), "--image", name);
    }
    await Deno.writeTextFile(join(folder, "no.safetensors"), "no tensors, but the name says so");
    await refused(/no\.safetensors" as safetensors: header/, "--image", "no.safetensors");
    await refused(/cut\.png: Cannot (read|decode) png/i, "--image", "cut.png");
    for (const command of ["inspect", "rerun", "resume"]) {
      const { status, stderr } = await runHere(folder, command, "cut.png");
      assert.match(stderr, /^error: .*cut\.png: Cannot (read|decode) png/i);
      assert.equal(status, 1);
    }
    await refused(/missing\.png/, "--image", "missing.png");
    const { stderr } = await runHere(folder, "gen", "cat", ...SMALL, "-o", "y.png", "--strength", "0.5");
    assert.match(
      stderr,
      /--strength has no effect without a picture|strength has no effect without a picture/,
    );
  });
});
