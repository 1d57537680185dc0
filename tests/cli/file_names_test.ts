import assert from "node:assert/strict";
import { join } from "node:path";
import { numberedOutput } from "../../cli/save_pictures.ts";
import { defaultName } from "../../graph/describe_picture.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SMALL = ["-m", TINY, "-W", "64", "-H", "48", "--steps", "2", "--no-resolution-binning"];

Deno.test("numberedOutput() puts the number at %d in the file name, or at its end", () => {
  const names: readonly [output: string, count: number, second: string][] = [
    ["cat-%d.png", 2, "cat-1.png"],
    ["cat-%03d.png", 2, "cat-001.png"],
    ["%02d-cat.png", 1, "01-cat.png"],
    ["cat.png", 1, "cat.png"],
    ["cat.png", 2, "cat-001.png"],
    ["cat", 2, "cat-001"],
    ["a.b/cat", 2, "a.b/cat-001"],
    ["%d/cat.png", 1, "%d/cat.png"],
    ["%03d/cat.png", 2, "%03d/cat-001.png"],
    ["%d/%d.png", 2, "%d/1.png"],
    ["100%done.png", 1, "100%done.png"],
    ["100%done.png", 2, "100%done-001.png"],
    ["my%20dog.png", 1, "my%20dog.png"],
    ["a%3db.png", 1, "a%3db.png"],
  ];
  for (const [output, count, second] of names) {
    assert.equal(numberedOutput(output, 1, count), second.replaceAll("/", join("a", "b")[1]!), output);
  }
});

Deno.test("defaultName() keeps characters whole, and fits the length limit of file names", () => {
  const name = (prompt: string) => defaultName({ prompts: [prompt], seeds: ["7"] }, "png");
  assert.equal(name("Cute CAT, on a mat!"), "cute-cat-on-a-mat-7.png");
  assert.equal(name("one two three four five six seven"), "one-two-three-four-five-six-7.png");
  assert.equal(name("❤️ cat"), "cat-7.png");
  assert.equal(name("😀"), "picture-7.png");
  assert.equal(name("हिन्दी में बिल्ली"), "हिन्दी-में-बिल्ली-7.png");
  // 59 code units, then a character of two.
  assert.equal(name(`${"a".repeat(59)}𠀀`), `${"a".repeat(59)}-7.png`);
  assert.equal(name(`${"a".repeat(58)}𠀀`), `${"a".repeat(58)}𠀀-7.png`);
  for (const prompt of ["猫", "𠀀", "é", "한"].map((character) => character.repeat(300))) {
    const made = defaultName({ prompts: [prompt], seeds: ["18446744073709551615"] }, "webp");
    assert.ok(made.isWellFormed(), made);
    assert.ok(new TextEncoder().encode(made).length <= 255, made);
  }
});

Deno.test("a file can have the longest name that the file system allows", async () => {
  await inFolder(async (folder) => {
    for (const name of [`${"猫".repeat(80)}.png`, `${"a".repeat(251)}.png`, `${"𠀀".repeat(62)}.png`]) {
      const { status, stderr } = await runHere(folder, "gen", "cat", ...SMALL, "-o", name);
      assert.equal(status, 0, stderr);
      assert.ok(Deno.statSync(join(folder, name)).isFile);
    }
    const { status, stderr } = await runHere(
      folder,
      "gen",
      "cat",
      "-m",
      "./nowhere",
      "-o",
      `${"猫".repeat(84)}.png`,
    );
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^error: Cannot write ".*猫\.png" because its name is too long: choose a shorter one\n$/,
    );
    assert.equal([...Deno.readDirSync(folder)].length, 3, "no temporary file");
  });
});

Deno.test("gen names files after prompts that contain surrogate pairs", async () => {
  await inFolder(async (folder) => {
    const { status, stdout, stderr } = await runHere(folder, "gen", `${"a".repeat(59)}𠀀𠀀`, ...SMALL);
    assert.equal(status, 0, stderr);
    assert.equal(stdout, `${join(folder, `${"a".repeat(59)}-0.png`)}\n`);
  });
});
