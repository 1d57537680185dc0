import assert from "node:assert/strict";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import type { Pixels } from "../../images/pixels.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SMALL = ["-m", TINY, "-W", "64", "-H", "64", "--no-resolution-binning", "-s", "3"];

async function read(folder: string, name: string): Promise<Pixels> {
  return (await decodePicture(await Deno.readFile(join(folder, name)))).pixels;
}

/** Returns a rectangle of a picture. */
function part({ width, data }: Pixels, x: number, y: number, size: number): number[] {
  return Array.from(
    { length: size },
    (_, row) => [...data.subarray(((y + row) * width + x) * 3, ((y + row) * width + x + size) * 3)],
  )
    .flat();
}

Deno.test("grid arranges the pictures that gen makes, and encodes the prompt once", async () => {
  await inFolder(async (folder) => {
    const axes = ["--x", "steps=2,3", "--y", "scheduler=euler,dpm++2m"];
    const { status, stdout, stderr } = await runHere(folder, "grid", "cat", ...SMALL, ...axes, "--json");
    assert.equal(status, 0, stderr);
    const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const started = events.filter(({ type }) => type === "stage:start").map(({ stage }) => stage);
    const count = (stage: string) => started.filter((name) => name === stage).length;
    assert.deepEqual([count("denoise"), count("decode")], [4, 4]);
    assert(count("encode") <= 2, `${count("encode")}`);
    const whole = await read(folder, "grid.png");
    const [left, top] = [whole.width - 2 * 64 - 4, whole.height - 2 * 64 - 4];
    assert(left > 100 && top > 20, "there is room for labels");
    const alone = ["gen", "cat", ...SMALL, "--steps", "3", "--scheduler", "euler", "-o", "x.png"];
    assert.equal((await runHere(folder, ...alone)).status, 0);
    const picture = await read(folder, "x.png");
    assert.deepEqual(part(whole, left + 68, top, 64), [...picture.data]);
    assert.notDeepEqual(part(whole, left, top, 64), [...picture.data]);
  });
});

Deno.test("grid accepts prompts as an axis, and refuses unknown options and cells with several pictures", async () => {
  await inFolder(async (folder) => {
    const made = await runHere(
      folder,
      ...["grid", "cat", ...SMALL, "--steps", "2", "--x", "prompt=cat,dog", "-o", "p.png", "-q"],
    );
    assert.equal(made.status, 0, made.stderr);
    const { width } = await read(folder, "p.png");
    assert.equal(width, 2 * 64 + 4);
    const refused: [string[], RegExp][] = [
      [["--x", "steps"], /must be OPTION=VALUE/],
      [["--x", "steps=2,,3"], /a value is missing/],
      [["--x", "nothing=1"], /no option --nothing/],
      [["--x", "steps=2,x"], /steps/],
      [["--x", "steps=2", "-b", "2"], /each cell holds one picture/],
      [["--x", `steps=${Array(300).fill("2").join(",")}`], /300 × 1 pictures: a grid has at most 256/],
    ];
    for (const [args, fault] of refused) {
      const { status, stderr } = await runHere(folder, "grid", "cat", ...SMALL, ...args);
      assert.equal(status, 2, stderr);
      assert.match(stderr, fault);
    }
  });
});
