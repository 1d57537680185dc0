import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { planGraph } from "../../graph/plan.ts";
import { loadPlugins } from "../../graph/plugins.ts";
import { decodePicture } from "../../images/picture.ts";
import { builtInStages } from "../../stages/mod.ts";
import { inFolder, runCli, TINY } from "../cli/run_cli.ts";
import { goldenPath } from "../goldens.ts";

const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));
const SMALL = ["height=64", "width=64", "resolutionBinning=false", "steps=3"];

/** Returns options that make a graph's denoising small. */
function small(...nodes: string[]): string[] {
  return ["-m", TINY, ...nodes.flatMap((node) => SMALL.flatMap((value) => ["--set", `${node}.${value}`]))];
}

/** Runs an example. Returns the pictures that it wrote. */
async function runExample(folder: string, graph: string, ...args: string[]): Promise<string[]> {
  const { status, stdout, stderr } = await runCli(folder, "run", join(EXAMPLES, graph), ...args);
  assert.equal(status, 0, stderr);
  const paths = stdout.trim().split("\n");
  for (const path of paths) assert.ok((await decodePicture(await Deno.readFile(path))).pixels.width > 0);
  return paths.map((path) => path.slice(folder.length + 1));
}

Deno.test("every example graph is valid", async () => {
  const plugins = ["watermark", "colours"].map((name) =>
    new URL(`../../examples/plugins/${name}.ts`, import.meta.url)
  );
  const registry = await loadPlugins(builtInStages(), plugins.map(String));
  for (const folder of ["graphs", "plugins"]) {
    for (const { name } of Deno.readDirSync(EXAMPLES + folder)) {
      if (!name.endsWith(".json")) continue;
      const document = JSON.parse(Deno.readTextFileSync(join(EXAMPLES, folder, name)));
      assert.ok(planGraph(document, registry).nodes.length > 0, name);
      assert.match(document.description, /\.$/, name);
    }
  }
});

Deno.test("example: one encoding, and a picture per seed", async () => {
  await inFolder(async (folder) => {
    assert.deepEqual(await runExample(folder, "graphs/plain.json", ...small("denoise")), ["decode.png"]);
    assert.deepEqual(await runExample(folder, "graphs/several_seeds.json", ...small("denoise")), [
      "decode-000.png",
      "decode-001.png",
      "decode-002.png",
    ]);
  });
});

Deno.test("example: interpolation between two prompts", async () => {
  await inFolder(async (folder) => {
    const nodes = ["quarter-denoise", "half-denoise", "most-denoise"];
    const paths = await runExample(folder, "graphs/interpolation.json", ...small(...nodes));
    assert.deepEqual(paths.sort(), ["half.png", "most.png", "quarter.png"]);
    const pictures = paths.map((path) => Deno.readFileSync(join(folder, path)).toHex());
    assert.equal(new Set(pictures).size, 3);
  });
});

Deno.test("example: two schedulers, two autoencoders, and a change of the prompt", async () => {
  await inFolder(async (folder) => {
    const nodes = ["solver-denoise", "ancestral-denoise"];
    assert.deepEqual(await runExample(folder, "graphs/two_schedulers.json", ...small(...nodes)), [
      "solver.png",
      "ancestral.png",
    ]);
    const tiny = `preview.model=${goldenPath("checkpoints/tiny-taesd")}`;
    assert.deepEqual(
      await runExample(folder, "graphs/preview_beside.json", ...small("denoise"), "--set", tiny),
      ["preview.png", "full.png"],
    );
    const steps = ["--set", "begin.steps=5", "--set", "rest.steps=5"];
    assert.deepEqual(
      await runExample(folder, "graphs/another_way.json", ...small("begin", "rest"), ...steps),
      [
        "decode.png",
      ],
    );
  });
});

Deno.test("example: latents upscaled and denoised again, two transformers, and the edges of another picture", async () => {
  await inFolder(async (folder) => {
    const hires = await runExample(
      folder,
      "graphs/hires_fix.json",
      ...small("small"),
      "--set",
      "denoise.steps=3",
    );
    assert.deepEqual(hires, ["decode.png"]);
    const { pixels } = await decodePicture(await Deno.readFile(join(folder, "decode.png")));
    assert.deepEqual([pixels.width, pixels.height], [96, 96]);
    const second = ["--set", `denoise.transformer=${TINY}`, "--set", "begin.stopAfter=1"];
    await runExample(folder, "graphs/two_transformers.json", ...small("begin", "denoise"), ...second);
    await Deno.copyFile(goldenPath("extras/inputs/edges-96x64.png"), join(folder, "edges.png"));
    await Deno.copyFile(join(EXAMPLES, "graphs/control.json"), join(folder, "control.json"));
    const sizes = ["height=64", "width=64", "resolutionBinning=false"].map((value) => `control.${value}`);
    const controlnet = goldenPath("extras/controlnet/adapters/tiny-alpha-512-control");
    const set = [...sizes, `denoise.controlnet=${controlnet}`].flatMap((value) => ["--set", value]);
    const { status, stderr } = await runCli(folder, "run", "control.json", ...small("denoise"), ...set);
    assert.equal(status, 0, stderr);
  });
});

Deno.test("a document alone cannot load a plugin", async () => {
  await inFolder(async (folder) => {
    const { status, stderr } = await runCli(folder, "run", join(EXAMPLES, "plugins/watermark.json"));
    assert.equal(status, 1);
    assert.match(
      stderr,
      /needs the code of file:.*watermark\.ts\. If you trust it, allow it with --plugin file:.*watermark\.ts/,
    );
  });
});

for (const name of ["watermark", "colours"]) {
  Deno.test(`example: the stage of the plugin "${name}" runs in every executor, and its result is reused`, async () => {
    await inFolder(async (folder) => {
      const plugin = ["--plugin", join(EXAMPLES, `plugins/${name}.ts`)];
      const args = [...small("denoise"), ...plugin, "--save", `${name}.image=${name}.png`];
      const pictures: string[] = [];
      for (const executor of ["inline", "worker", "process"]) {
        const own = [
          "--executor",
          `${name}=${executor}`,
          "--store",
          `../${folder.split("/").at(-1)}-store/${executor}`,
        ];
        await runExample(folder, `plugins/${name}.json`, ...args, ...own);
        pictures.push(Deno.readFileSync(join(folder, `${name}.png`)).toHex());
        const { stdout } = await runCli(
          folder,
          "run",
          join(EXAMPLES, `plugins/${name}.json`),
          ...args,
          ...own,
          "--json",
        );
        assert.match(stdout, new RegExp(`"stage:cached","node":"${name}"`));
      }
      assert.equal(new Set(pictures).size, 1);
      const { status, stderr } = await runCli(folder, "rerun", `${name}.png`, ...plugin, "--no-store");
      assert.equal(status, 0, stderr);
      assert.match(stderr, /The bytes are identical/);
    });
  });
}

Deno.test("the guides' code is that of the examples", () => {
  const examples = ["watermark", "colours", "eased", "palette"].map((name) =>
    Deno.readTextFileSync(join(EXAMPLES, `plugins/${name}.ts`))
  );
  for (const name of ["plugins", "scheduler_plugin", "architecture_plugin"]) {
    const guide = Deno.readTextFileSync(new URL(`../../docs/${name}.md`, import.meta.url));
    const blocks = [...guide.matchAll(/^```ts ignore\n(.*?)^```/gms)].map((match) => match[1]!.trim());
    assert.ok(blocks.length > 0);
    for (const block of blocks) {
      assert.ok(examples.some((example) => example.includes(block)), block);
    }
  }
});

Deno.test("example: the scheduler of a plugin makes pictures, and goes on from the middle with the same bytes", async () => {
  await inFolder(async (folder) => {
    const plugin = ["--plugin", join(EXAMPLES, "plugins/eased.ts")];
    const run = async (...args: string[]): Promise<void> => {
      const { status, stderr } = await runCli(folder, ...args, ...plugin);
      assert.equal(status, 0, stderr);
    };
    const scheduler = ["--scheduler", "eased", "--seed", "1"];
    await run("gen", "cute cat", ...scheduler, "--no-store", "-o", "whole.png");
    await run("encode", "cute cat", "-o", "cat.embeds.safetensors");
    await run(
      "denoise",
      "cat.embeds.safetensors",
      ...scheduler,
      "--stop-after",
      "3",
      "-o",
      "part.safetensors",
    );
    await run("resume", "part.safetensors", "-o", "resumed.png");
    const pixels = async (name: string): Promise<Uint8Array> =>
      (await decodePicture(await Deno.readFile(join(folder, name)))).pixels.data;
    assert.deepEqual(await pixels("resumed.png"), await pixels("whole.png"));
  });
});

Deno.test("modules that are not plugins are refused with the reason", async () => {
  const load = (source: string): Promise<unknown> =>
    loadPlugins(builtInStages(), [`data:application/javascript,${encodeURIComponent(source)}`]);
  await assert.rejects(
    load("export const nothing = 1"),
    /its default export must be a stage, an architecture or a scheduler, or a list of these/,
  );
  await assert.rejects(load("export default { name: 'x' }"), /version/);
  await assert.rejects(load("throw new Error('broken')"), /Cannot load plugin .*: broken/);
  await assert.rejects(loadPlugins(builtInStages(), ["file:///nowhere.ts"]), /Cannot load plugin/);
  const decode = `export default { name: "decode", version: "1", description: "", inputs: {}, outputs: {},
    parameters: { safeParse() {} }, prepare() {} }`;
  await assert.rejects(load(decode), /Cannot add stage "decode": there is already a stage of that name/);
});
