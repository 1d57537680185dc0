import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { lora } from "../../cli/lora_option.ts";
import { decodePicture } from "../../images/picture.ts";
import { fc } from "../random.ts";
import { adapterPath, invalidPath } from "../stages/lora_cases.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SIZE = ["-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "4", "-s", "7"];
const SMALL = ["-m", TINY, ...SIZE];

async function run(folder: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { status, ...printed } = await runHere(folder, ...args);
  assert.equal(status, 0, printed.stderr);
  return printed;
}

async function bytes(folder: string, file: string): Promise<string> {
  return (await Deno.readFile(join(folder, file))).toHex();
}

async function pixels(folder: string, file: string): Promise<string> {
  return new Uint8Array((await decodePicture(await Deno.readFile(join(folder, file)))).pixels.data).toHex();
}

Deno.test("--lora parses a name and a weight, and keeps a path with a colon whole", () => {
  const name = fc.stringMatching(/^[a-zA-Z0-9_./@-]{1,20}$/);
  const weight = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(fc.property(name, weight, (name, weight) => {
    assert.deepEqual(lora(`${name}:${weight}`), [{ name, weight: Number(String(weight)) }]);
    assert.deepEqual(lora(name, [{ name: "a", weight: 2 }]), [{ name: "a", weight: 2 }, { name, weight: 1 }]);
  }));
  assert.deepEqual(lora("C:\\loras\\a.safetensors"), [{ name: "C:\\loras\\a.safetensors", weight: 1 }]);
  for (const text of ["a:", "a:x", "a:1e999", ""]) {
    assert.throws(() => lora(text), { code: /invalidArgument/ });
  }
});

Deno.test("gen --lora changes the picture and records it, and rerun and resume make the same bytes", async () => {
  await inFolder(async (folder) => {
    await cp(adapterPath("peft-all-a"), join(folder, "a"), { recursive: true });
    await run(folder, "gen", "cute cat", ...SMALL, "-o", "plain.png");
    const all = ["--lora", "a:0.7", "--lora", `${adapterPath("kohya-no-alpha-a")}:-0.5`];
    const { stderr } = await run(folder, "gen", "cute cat", ...SMALL, ...all, "-o", "both.png");
    assert.match(stderr, /kohya-no-alpha-a\.safetensors does not specify its alpha/);
    assert.notEqual(await pixels(folder, "both.png"), await pixels(folder, "plain.png"));
    const { stdout } = await run(folder, "inspect", "both.png");
    assert.match(stdout, /LoRAs: a 0\.7 \+ kohya-no-alpha-a\.safetensors -0\.5/);
    await run(folder, "rerun", "both.png", "--no-store", "-o", "again.png");
    assert.equal(await bytes(folder, "again.png"), await bytes(folder, "both.png"));

    await run(folder, "encode", "cute cat", "-m", TINY, "-o", "e.safetensors");
    const part = ["denoise", "e.safetensors", ...SMALL, ...all, "--stop-after", "2", "-o", "two.safetensors"];
    await run(folder, ...part);
    await run(folder, "resume", "two.safetensors", "--no-store", "-o", "resumed.png");
    assert.equal(await pixels(folder, "resumed.png"), await pixels(folder, "both.png"));
  });
});

Deno.test("a LoRA of weight 0 makes the bytes of a run without it, and the store finds a LoRA by its content", async () => {
  await inFolder(async (folder) => {
    const steps = async (...args: string[]): Promise<number> => {
      const { stdout } = await run(folder, "gen", "cute cat", ...SMALL, "--json", "-o", "x.png", ...args);
      return stdout.split("\n").filter((line) => line.includes('"type":"step"')).length;
    };
    assert(await steps() > 0);
    assert.equal(await steps("--lora", `${adapterPath("peft-all-a")}:0`), 0);
    assert(await steps("--lora", adapterPath("peft-all-a")) > 0);
    await cp(adapterPath("peft-all-a"), join(folder, "elsewhere"), { recursive: true });
    assert.equal(await steps("--lora", "elsewhere:1.0"), 0);
    assert(await steps("--lora", "elsewhere:1.1") > 0);
    assert(await steps("--lora", adapterPath("peft-attn-a")) > 0);
  });
});

Deno.test("plan counts the memory of LoRAs", async () => {
  await inFolder(async (folder) => {
    const peak = async (...args: string[]): Promise<number> => {
      const { stdout } = await run(folder, "plan", "cute cat", ...SMALL, "--json", ...args);
      return JSON.parse(stdout).stages.find(({ stage }: { stage: string }) => stage === "denoise")
        .predictedPeak;
    };
    assert(await peak("--lora", adapterPath("peft-all-a")) > await peak());
  });
});

Deno.test("gen refuses LoRAs that cannot be used before it encodes anything", async () => {
  await inFolder(async (folder) => {
    const cases: [string, RegExp][] = [
      [invalidPath("dora"), /DoRA/],
      [invalidPath("lokr.safetensors"), /LoKr/],
      [invalidPath("flux.safetensors"), /another model/],
      [invalidPath("wrong-in"), /must be \[4,48\]/],
      [invalidPath("nan"), /must be finite/],
      ["./nowhere.safetensors", /Cannot find the LoRA/],
      [`${adapterPath("peft-all-a")}:heavy`, /weight after the colon must be a number/],
      [folder, /Cannot find a LoRA in/],
    ];
    for (const [adapter, fault] of cases) {
      const { status, stdout, stderr } = await runHere(
        folder,
        "gen",
        "cat",
        ...SMALL,
        "--json",
        "--lora",
        adapter,
      );
      assert.equal(status, 2, stderr);
      assert.match(stdout + stderr, fault);
      assert.doesNotMatch(stdout, /stage:start/);
    }
    const many = Array(17).fill(["--lora", adapterPath("peft-all-a")]).flat();
    const { status, stderr } = await runHere(folder, "gen", "cat", ...SMALL, ...many);
    assert.equal(status, 2);
    assert.match(stderr, /--lora must have at most 16/);
  });
});

Deno.test("inspect describes a LoRA, and still describes artifacts and checkpoints", async () => {
  await inFolder(async (folder) => {
    const inspect = async (path: string) => JSON.parse((await run(folder, "inspect", path, "--json")).stdout);
    const peft = await inspect(adapterPath("peft-ranks-a"));
    assert.deepEqual([peft.what, peft.layers, peft.ranks, peft.alphas], [
      "lora",
      12,
      "2, 3, 4, 7",
      "in its configuration",
    ]);
    const kohya = await inspect(adapterPath("kohya-fp16-c"));
    assert.deepEqual([kohya.ranks, kohya.alphas, kohya.types], ["4", "1", "float16"]);
    assert.match((await inspect(adapterPath("file-transformer-a"))).alphas, /^none/);
    assert.equal((await inspect(TINY)).what, "checkpoint");
    await run(folder, "encode", "cat", "-m", TINY, "-o", "e.safetensors");
    assert.equal((await inspect("e.safetensors")).kind, "embeddings");
  });
});
