import assert from "node:assert/strict";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SMALL = ["-m", TINY, "-W", "32", "-H", "32", "--no-resolution-binning", "--steps", "2"];

async function made(folder: string, name: string): Promise<{ prompt: string; pixels: string }> {
  const { metadata, pixels } = await decodePicture(await Deno.readFile(join(folder, name)));
  return {
    prompt: metadata["parameters"]!.split("\n")[0]!,
    pixels: new Uint8Array(pixels.data).toHex(),
  };
}

Deno.test("gen reads prompts from a file, one per line, and fills their wildcards with each picture's seed", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(
      join(folder, "prompts.txt"),
      "\uFEFFa {red|blue|green|grey} car\r\n\n  a cat  \n",
    );
    const args = ["--prompts-file", "prompts.txt", "--wildcards", ...SMALL];
    const all = await runHere(
      folder,
      "gen",
      "{one|two} dogs",
      ...args,
      "-s",
      "5",
      "-b",
      "2",
      "-o",
      "x-%d.png",
    );
    assert.equal(all.status, 0, all.stderr);
    const pictures = await Promise.all([0, 1, 2, 3, 4, 5].map((image) => made(folder, `x-${image}.png`)));
    const shapes = [/^(one|two) dogs$/, /^a (red|blue|green|grey) car$/, /^a cat$/];
    pictures.forEach(({ prompt }, image) => assert.match(prompt, shapes[Math.floor(image / 2)]!));

    const alone = await runHere(
      folder,
      ...["gen", "a {red|blue|green|grey} car", "--wildcards", ...SMALL, "-s", "7", "-o", "alone.png"],
    );
    assert.equal(alone.status, 0, alone.stderr);
    assert.deepEqual(await made(folder, "alone.png"), pictures[2]);

    const kept = await runHere(folder, "gen", "a {red|blue} car", ...SMALL, "-o", "kept.png");
    assert.equal(kept.status, 0, kept.stderr);
    assert.equal((await made(folder, "kept.png")).prompt, "a {red|blue} car");
  });
});

Deno.test("gen refuses a file without prompts and unbalanced braces", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "empty.txt"), "\n \n");
    await Deno.writeFile(join(folder, "latin.txt"), Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 0x0a));
    const refused: [string[], RegExp, number][] = [
      [["--prompts-file", "empty.txt"], /empty\.txt because it is empty: write one prompt per line/, 2],
      [["--prompts-file", "latin.txt"], /latin\.txt" because it is not UTF-8 text: save it as UTF-8/, 2],
      [["--prompts-file", "nowhere.txt"], /nowhere\.txt/, 1],
      [["a {red car", "--wildcards"], /a \{ is not closed at character 3/, 2],
      [["--prompts-file", "empty.txt", "--load-latents", "x.safetensors"], /empty\.txt/, 2],
    ];
    for (const [args, fault, expected] of refused) {
      const { status, stderr } = await runHere(folder, "gen", ...args, ...SMALL);
      assert.equal(status, expected, stderr);
      assert.match(stderr, fault);
    }
  });
});
