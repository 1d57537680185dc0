import assert from "node:assert/strict";
import { join } from "node:path";
import { readArtifact } from "../../artifacts/files_on_disk.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SMALL = ["-m", TINY, "-W", "48", "-H", "32", "--no-resolution-binning", "--steps", "2"];

/** Runs a test in a folder with a graph. */
function withGraph(test: (folder: string) => Promise<void>): Promise<void> {
  return inFolder(async (folder) => {
    const graph = textToImage({
      prompts: ["cat"],
      model: TINY,
      width: 48,
      height: 32,
      resolutionBinning: false,
      steps: 2,
    });
    await Deno.writeTextFile(join(folder, "graph.json"), JSON.stringify(graph));
    await test(folder);
  });
}

/** Runs a command that must be refused before a stage runs, and must write nothing. */
async function refused(folder: string, fault: RegExp, ...args: string[]): Promise<void> {
  const before = [...Deno.readDirSync(folder)].length;
  const { status, stdout, stderr } = await runHere(folder, ...args);
  assert.match(stderr, fault);
  assert.doesNotMatch(stderr, /output-format/);
  assert.equal(status, 2);
  assert.doesNotMatch(stdout, /stage:start/);
  assert.equal([...Deno.readDirSync(folder)].length, before);
}

Deno.test("run writes one output to several files", () =>
  withGraph(async (folder) => {
    const save = ["decode.image=a.png", "decode.image=b.png", "decode.image=c.safetensors"];
    const { status, stdout, stderr } = await runHere(
      folder,
      "run",
      "graph.json",
      ...save.map((one) => `--save=${one}`),
    );
    assert.equal(status, 0, stderr);
    assert.equal(
      stdout,
      ["a.png", "b.png", "c.safetensors"].map((name) => `${join(folder, name)}\n`).join(""),
    );
    assert.deepEqual(Deno.readFileSync(join(folder, "a.png")), Deno.readFileSync(join(folder, "b.png")));
    assert.equal((await readArtifact(join(folder, "c.safetensors"))).kind, "image");
  }));

Deno.test("run refuses names that do not fit the outputs before it runs", () =>
  withGraph(async (folder) => {
    const run = ["run", "graph.json", "--no-store", "--json"];
    await refused(folder, /"x\.txt" because its extension must be/, ...run, "--save", "decode.image=x.txt");
    const tensors = /^error: Cannot write tensors to "x\.png": give a name that ends in \.safetensors\n$/;
    await refused(folder, tensors, ...run, "--save", "denoise.latents=x.png");
    const both = ["--save", "decode.image=a.png", "--save", "denoise.latents=a.png"];
    await refused(
      folder,
      /Cannot write two results to ".*a\.png": give each its own file\n$/,
      ...run,
      ...both,
    );
  }));

Deno.test("commands refuse equal files, and names of pictures for tensors", () =>
  inFolder(async (folder) => {
    const gen = ["gen", "cat", ...SMALL, "--no-store", "--json"];
    const twice = ["--save-embeds", "f.safetensors", "--save-latents", "./f.safetensors"];
    await refused(folder, /Cannot write two results to ".*f\.safetensors"/, ...gen, ...twice);
    for (const option of ["--save-embeds", "--save-latents", "--save-tensor"]) {
      await refused(folder, /Cannot write tensors to "lat\.jpg"/, ...gen, option, "lat.jpg");
    }
    const compare = ["compare", "cat", "--a", "seed=1", "--b", "seed=2", "-o", "a.html", "--page", "a.html"];
    await refused(folder, /Cannot choose a format for "a\.html"/, ...compare);
    await refused(folder, /tensors to "e\.png"/, "encode", "cat", "-m", TINY, "-o", "e.png");
    await refused(folder, /tensors to "l\.png"/, "denoise", "e.safetensors", ...SMALL, "-o", "l.png");
    const extension = /must be \.png, \.jpg, \.jpeg or \.webp: give another name\n$/;
    await refused(folder, extension, "grid", "cat", ...SMALL, "--x", "seed=1,2", "-o", "g.gif");
  }));

Deno.test("gen checks the names that several pictures get", () =>
  inFolder(async (folder) => {
    const gen = ["gen", "cat", ...SMALL, "--no-store"];
    for (const name of ["d.png", "nn-001.png", "p-1.png"]) await Deno.mkdir(join(folder, name));
    const { status, stdout, stderr } = await runHere(folder, ...gen, "-b", "2", "-o", "d.png");
    assert.equal(status, 0, stderr);
    assert.equal(stdout, `${join(folder, "d-000.png")}\n${join(folder, "d-001.png")}\n`);
    const cases: [string, string[]][] = [
      ["nn-001.png", ["-b", "2", "-o", "nn.png"]],
      ["p-1.png", ["-b", "2", "-o", "p-%d.png"]],
    ];
    for (const [name, args] of cases) {
      const result = await runHere(folder, ...gen, "--json", ...args);
      assert.match(result.stderr, new RegExp(`^error: Cannot write ".*${name}" because it is a folder`));
      assert.equal(result.status, 1);
      assert.doesNotMatch(result.stdout, /stage:start/);
    }
  }));

Deno.test("run and decode check the names of pictures before they run", () =>
  withGraph(async (folder) => {
    await Deno.mkdir(join(folder, "decode-001.png"));
    const two = ["--set", "denoise.imagesPerPrompt=2", "--set", 'denoise.seeds=["1","2"]'];
    const fault = /^error: Cannot write ".*decode-001\.png" because it is a folder/;
    for (const save of [[], ["--save", "decode.image=decode.png"]]) {
      const result = await runHere(folder, "run", "graph.json", "--no-store", "--json", ...two, ...save);
      assert.match(result.stderr, fault);
      assert.doesNotMatch(result.stdout, /stage:start/);
    }
    const gen = ["gen", "cat", ...SMALL, "-b", "2", "-o", "a.png", "--save-latents", "l.safetensors"];
    const { status, stderr } = await runHere(folder, ...gen);
    assert.equal(status, 0, stderr);
    const decode = ["decode", "l.safetensors", "-m", TINY, "--no-store", "--json", "-o", "decode.png"];
    const resume = ["resume", "l.safetensors", "--no-store", "--json", "-o", "decode.png"];
    for (const command of [decode, resume]) {
      const result = await runHere(folder, ...command);
      assert.match(result.stderr, fault);
      assert.doesNotMatch(result.stdout, /stage:start/);
    }
  }));
