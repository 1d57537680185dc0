import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { decodePicture, pictureFormatOf } from "../../images/picture.ts";
import { inFolder, resultOf, runCli, startCliWith, TINY } from "./run_cli.ts";

const COMPARE = ["compare", "-m", TINY, "--json", "--set"];
const SMALL = "steps=2,width=64,height=64,no-resolution-binning=true";

Deno.test("compare varies flags, and a run's own value replaces the common one", () =>
  inFolder(async (folder) => {
    const compared = async (set: string, a: string, b: string): Promise<number> => {
      const flags = ["--a", a, "--b", b];
      const run = await runCli(folder, ...COMPARE, `${SMALL},${set}`, ...flags, "a {red|blue} Cat &amp; dog");
      assert.equal(run.status, 0, run.stderr);
      return JSON.parse(run.stdout).embeddings.relativeError;
    };
    assert.notEqual(await compared("seed=1", "wildcards=true", "wildcards=false"), 0);
    assert.equal(await compared("wildcards=true", "threads=1", "threads=1"), 0);
    assert.notEqual(await compared("wildcards=true", "wildcards=false", "threads=1"), 0);
    assert.notEqual(await compared("seed=1", "clean-caption=false", "clean-caption=true"), 0);
  }));

Deno.test("compare accepts a prompt that begins with a dash", () =>
  inFolder(async (folder) => {
    const run = await runCli(folder, ...COMPARE, SMALL, "--a", "seed=-1", "--b", "seed=2", "--", "-5 cats");
    assert.equal(run.status, 0, run.stderr);
  }));

Deno.test("compare writes the format that the extension names, and has no PSNR of equal pictures", () =>
  inFolder(async (folder) => {
    for (const name of ["both.webp", "both.jpg", "both.png"]) {
      const ways = ["--a", "threads=1", "--b", "threads=1", "-o", name];
      const run = await runCli(folder, ...COMPARE, SMALL, ...ways, "cat");
      assert.equal(run.status, 0, run.stderr);
      const { psnr, file } = JSON.parse(run.stdout);
      assert.equal(psnr, null);
      assert.equal(file, join(folder, name));
      const { format, metadata } = await decodePicture(await Deno.readFile(file));
      assert.equal(format, pictureFormatOf(name));
      assert.equal(metadata["a"], "threads=1");
    }
  }));

Deno.test("compare names the sizes of pictures that turn out to differ", () =>
  inFolder(async (folder) => {
    const ways = ["--a", "width=64,height=64", "--b", "height=64"];
    const run = await runCli(folder, ...COMPARE, "steps=2,no-resolution-binning=true", ...ways, "cat");
    assert.equal(run.status, 2);
    assert.match(run.stderr, /different sizes: current sizes are 64 × 64 and \d{3} × 64$/m);
  }));

Deno.test("compare names the embeddings that turn out to differ in length", () =>
  inFolder(async (folder) => {
    const ways = ["--a", "max-sequence-length=10", "--b", "max-sequence-length=20"];
    const run = await runCli(folder, ...COMPARE, SMALL, ...ways, "cat");
    assert.equal(run.status, 2);
    assert.match(run.stderr, /Cannot compare embeddings of 1 × 10 × \d+ and 1 × 20 × \d+ values: give both/);
  }));

/** Returns the ids of the running processes whose command line names a folder. */
async function processesNaming(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const words = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (words.includes(folder)) found.push(Number(name));
  }
  return found;
}

for (const [count, word] of [[1, "a signal stops"], [2, "two signals stop"]] as const) {
  Deno.test({
    name: `compare ends its run and leaves no folder if ${word} it`,
    ignore: Deno.build.os !== "linux",
    fn: () =>
      inFolder(async (folder) => {
        const temporary = join(folder, "temporary");
        await Deno.mkdir(temporary);
        const ways = ["--a", "steps=900", "--b", "steps=900"];
        const run = startCliWith(folder, { TMPDIR: temporary }, ...["compare", "cat", "-m", TINY, ...ways]);
        while ((await processesNaming(temporary)).length === 0) await delay(50);
        // By then, the run has loaded its modules and listens for signals.
        await delay(1000);
        for (let sent = 0; sent < count; sent++) {
          run.kill("SIGTERM");
          await delay(5);
        }
        const { status, stderr } = await resultOf(run);
        assert.equal(status, 130, stderr);
        if (count === 1) assert.match(stderr, /^Stopped$/m);
        const left = [...Deno.readDirSync(temporary)].map(({ name }) => name);
        assert.deepEqual(left.filter((name) => name.startsWith("pixstage-compare-")), []);
        while ((await processesNaming(temporary)).length > 0) await delay(50);
      }),
  });
}
