import assert from "node:assert/strict";
import { join } from "node:path";
import { decodePicture, encodePicture } from "../../images/picture.ts";
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
      [["--x", "nothing=1"], /gen has no option --nothing: correct --x/],
      [["--x", "vae=a,b"], /--vae cannot differ between its pictures: correct --x/],
      [["--x", "wildcards=1,0"], /"1" because it is a flag: write wildcards=true or wildcards=false/],
      [["--x", "cfg-scale=1,9", "--guidance-scale", "3"], /'--cfg-scale <x>' cannot be used with option/],
      [["--x", "guidance-scale=1,9", "--cfg-scale", "3"], /'--cfg-scale <x>' cannot be used with option/],
      [["--x", "cfg-scale=1,9", "--y", "guidance-scale=2,3"], /'--cfg-scale <x>' cannot be used with/],
      [["--x", "steps=2,3", "--y", "steps=4,5"], /both axes vary --steps: give --y another option/],
      [["--x", "prompt=a,b", "--y", "prompt=c,d"], /both axes vary the prompt: give --y another option/],
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

Deno.test("grid accepts flags as axes, and their cells are the pictures that gen makes with and without them", async () => {
  await inFolder(async (folder) => {
    const prompt = "a {red|blue} Cat &amp; dog";
    const small = [...SMALL, "--steps", "2"];
    const axes = ["--x", "wildcards=false,true", "--y", "clean-caption=true,false"];
    // The axis takes the place of the command's own flags.
    const own = ["--wildcards", "--no-clean-caption"];
    const { status, stderr } = await runHere(folder, "grid", prompt, ...small, ...own, ...axes, "-q");
    assert.equal(status, 0, stderr);
    const whole = await read(folder, "grid.png");
    const [left, top] = [whole.width - 2 * 64 - 4, whole.height - 2 * 64 - 4];
    for (const [row, caption] of [[], ["--no-clean-caption"]].entries()) {
      for (const [column, wildcards] of [[], ["--wildcards"]].entries()) {
        const alone = ["gen", prompt, ...small, ...caption, ...wildcards, "-o", "x.png", "-q"];
        assert.equal((await runHere(folder, ...alone)).status, 0);
        const { data } = await read(folder, "x.png");
        assert.deepEqual(part(whole, left + column * 68, top + row * 68, 64), [...data]);
      }
    }
    const cells = [0, 68].flatMap((y) => [0, 68].map((x) => part(whole, left + x, top + y, 64).join()));
    assert.equal(new Set(cells).size, 4);
  });
});

Deno.test("grid varies --soft-mask", async () => {
  await inFolder(async (folder) => {
    const grey = { width: 64, height: 64, data: new Uint8Array(64 * 64 * 3).fill(100) };
    await Deno.writeFile(join(folder, "grey.png"), await encodePicture(grey, { format: "png" }));
    const picture = ["--image", "grey.png", "--mask", "grey.png", "--steps", "3"];
    const { status, stderr } = await runHere(
      folder,
      ...["grid", "cat", ...SMALL, ...picture, "--x", "soft-mask=true,false", "-q"],
    );
    assert.equal(status, 0, stderr);
    const whole = await read(folder, "grid.png");
    const [left, top] = [whole.width - 2 * 64 - 4, whole.height - 64];
    assert.notDeepEqual(part(whole, left, top, 64), part(whole, left + 68, top, 64));
  });
});
