import assert from "node:assert/strict";
import { inFolder, runCli, TINY } from "./run_cli.ts";

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
