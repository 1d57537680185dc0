import assert from "node:assert/strict";
import { encode as encodePng } from "fast-png";
import { join } from "node:path";
import { readArtifact } from "../../artifacts/files_on_disk.ts";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, storeOf, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const MODEL = ["-m", TINY];
const SMALL = [
  ...MODEL,
  "-W",
  "64",
  "-H",
  "48",
  "--no-resolution-binning",
  "--steps",
  "6",
  "--scheduler",
  "euler_a",
];

/** Runs a command that must succeed. Returns its output. */
async function run(folder: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { status, ...printed } = await runHere(folder, ...args);
  assert.equal(status, 0, printed.stderr);
  return printed;
}

async function refused(folder: string, fault: RegExp, ...args: string[]): Promise<void> {
  const { status, stderr } = await runHere(folder, ...args);
  assert.notEqual(status, 0);
  assert.match(stderr, fault);
}

async function pixels(folder: string, name: string): Promise<string> {
  return new Uint8Array((await decodePicture(await Deno.readFile(join(folder, name)))).pixels.data).toHex();
}

Deno.test("resume continues from embeddings, latents and snapshots, in files and in the store", async () => {
  await inFolder(async (folder) => {
    await run(folder, "gen", "cute cat", ...SMALL, "-o", "whole.png", "--save-latents", "l.safetensors");
    await run(folder, "encode", "cute cat", ...MODEL, "-o", "e.safetensors");
    const whole = await pixels(folder, "whole.png");
    await run(folder, "resume", "l.safetensors", "--no-store", "-o", "from-latents.png");
    assert.equal(await pixels(folder, "from-latents.png"), whole);
    await run(folder, "denoise", "e.safetensors", ...SMALL, "--stop-after", "2", "-o", "two.safetensors");
    await run(
      folder,
      "resume",
      "two.safetensors",
      "--no-store",
      "--steps-more",
      "3",
      "-o",
      "five.safetensors",
    );
    // Only the snapshot is needed: neither embeddings nor a store.
    await run(folder, "resume", "five.safetensors", "--no-store", "-o", "from-state.png");
    assert.equal(await pixels(folder, "from-state.png"), whole);
    await run(folder, "resume", "five.safetensors", "--no-store", "--save-latents", "l2.safetensors");
    await run(folder, "decode", "l2.safetensors", ...MODEL, "--no-store", "-o", "from-l2.png");
    assert.equal(await pixels(folder, "from-l2.png"), whole);
    const listed = (await run(folder, "store", "ls", "--json")).stdout.trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    const state = listed.find(({ stage }) => stage === "denoise-part").id.slice(0, 12);
    await run(folder, "resume", state, "-o", "from-id.png");
    assert.equal(await pixels(folder, "from-id.png"), whole);
    await refused(
      folder,
      /Cannot stop after step 6: the run has only 6 steps/,
      "resume",
      "five.safetensors",
      "--steps-more",
      "1",
      "-o",
      "x.safetensors",
    );
    await refused(folder, /finished: give a step to continue from/, "resume", "whole.png");
  });
});

Deno.test("resume continues from a step with other settings, and rerun makes the result again", async () => {
  await inFolder(async (folder) => {
    await run(folder, "gen", "cute cat", ...SMALL, "-o", "whole.png");
    await run(folder, "resume", "whole.png", "--from-step", "3", "--guidance-scale", "9", "-o", "guided.png");
    await run(
      folder,
      "resume",
      "whole.png",
      "--from-step",
      "3",
      "--prompt",
      "cute dog",
      "-o",
      "prompted.png",
    );
    await run(folder, "encode", "cute cat", ...MODEL, "-o", "e.safetensors");
    await run(folder, "denoise", "e.safetensors", ...SMALL, "--stop-after", "3", "-o", "three.safetensors");
    await run(folder, "resume", "three.safetensors", "--guidance-scale", "9", "-o", "guided-state.png");
    await run(folder, "resume", "three.safetensors", "--prompt", "cute dog", "-o", "prompted-state.png");
    const all = await Promise.all(
      ["whole", "guided", "prompted"].map((name) => pixels(folder, `${name}.png`)),
    );
    assert.equal(new Set(all).size, 3);
    assert.equal(await pixels(folder, "guided-state.png"), all[1]);
    assert.equal(await pixels(folder, "prompted-state.png"), all[2]);
    for (const name of ["guided.png", "prompted.png", "guided-state.png"]) {
      const { stderr } = await run(folder, "rerun", name, "--no-store");
      assert.match(stderr, /The bytes are identical/);
    }
    await refused(folder, /this needs a step/, "resume", "whole.png", "--guidance-scale", "9");
  });
});

Deno.test("rerun makes pictures and artifacts again, byte for byte, in every format, and reports differences", async () => {
  await inFolder(async (folder) => {
    const bytes = (name: string): Uint8Array => Deno.readFileSync(join(folder, name));
    for (const format of ["png", "jpg", "webp"]) {
      await run(folder, "gen", "cute cat", "a boat", ...SMALL, "-o", `%d.${format}`);
      await run(folder, "rerun", `1.${format}`, "--no-store");
      assert.deepEqual(bytes(`1-again.${format}`), bytes(`1.${format}`));
    }
    await run(folder, "gen", "cute cat", ...SMALL, "-o", "a.png", "--save-latents", "l.safetensors");
    await run(folder, "rerun", "l.safetensors", "--no-store");
    assert.deepEqual(bytes("l-again.safetensors"), bytes("l.safetensors"));
    const { stdout } = await run(folder, "rerun", "a.png", "--set", 'denoise.seeds=["7"]', "-o", "seven.png");
    assert.match(stdout, /seven\.png/);
    await run(folder, "gen", "cute cat", ...SMALL, "--seed", "7", "-o", "7.png");
    assert.deepEqual(bytes("seven.png"), bytes("7.png"));
    await Deno.writeTextFile(join(folder, "none.png"), "no picture");
    await refused(folder, /./, "rerun", "none.png");
  });
});

Deno.test("rerun distinguishes a file that another program has saved again from a different picture", async () => {
  await inFolder(async (folder) => {
    const path = (name: string): string => join(folder, name);
    await run(folder, "gen", "cute cat", ...SMALL, "-o", "a.png");
    await run(folder, "gen", "cute cat", ...SMALL, "-o", "a.jpg");
    const { pixels: { width, height, data }, metadata } = await decodePicture(
      await Deno.readFile(path("a.png")),
    );
    const saved = (changed: Uint8Array): Uint8Array =>
      encodePng({ width, height, data: changed, channels: 3, text: { ...metadata } });
    await Deno.writeFile(path("saved.png"), saved(data));
    await Deno.writeFile(path("changed.png"), saved(data.with(0, data[0]! ^ 1)));
    // Insert a comment after the first two bytes of the JPEG.
    const jpeg = await Deno.readFile(path("a.jpg"));
    const comment = [0xff, 0xfe, 0, 6, ..."note"].map((part) =>
      typeof part === "string" ? part.charCodeAt(0) : part
    );
    await Deno.writeFile(
      path("saved.jpg"),
      Uint8Array.of(...jpeg.subarray(0, 2), ...comment, ...jpeg.subarray(2)),
    );
    for (const name of ["saved.png", "saved.jpg"]) {
      assert.notDeepEqual(
        await Deno.readFile(path(name)),
        await Deno.readFile(path(name.replace("saved", "a"))),
      );
      const { stderr } = await run(folder, "rerun", name);
      assert.match(stderr, /^The pixels are identical, but the bytes are not: .* saved the file since\n/);
      const { stdout } = await run(folder, "rerun", name, "--json");
      const compared = stdout.split("\n").filter((line) => line.includes('"compared"')).map((line) =>
        JSON.parse(line)
      );
      assert.deepEqual(compared, [{ type: "compared", same: false, likeness: "pixels" }]);
    }
    await refused(folder, /The new result differs/, "rerun", "changed.png");
  });
});

Deno.test("store lists, verifies, removes and shrinks", async () => {
  await inFolder(async (folder) => {
    await run(folder, "gen", "cute cat", ...SMALL, "-o", "a.png");
    const list = async (): Promise<{ id: string; stage: string }[]> =>
      (await run(folder, "store", "ls", "--json")).stdout.trim().split("\n").filter((line) => line).map((
        line,
      ) => JSON.parse(line));
    assert.deepEqual((await list()).map(({ stage }) => stage).sort(), [
      "decode",
      "denoise",
      "encode",
      "encode",
    ]);
    const [first] = await list();
    const path = join(storeOf(folder), "artifacts", first!.id.slice(0, 2), `${first!.id}.safetensors`);
    await Deno.truncate(path, 10);
    await refused(folder, /The store has 1 fault:/, "store", "verify");
    await run(folder, "store", "verify", "--remove");
    assert.equal((await list()).length, 3);
    await run(folder, "store", "rm", (await list())[0]!.id.slice(0, 8));
    assert.equal((await list()).length, 2);
    await refused(folder, /no artifact in the store whose id starts with it/, "store", "rm", "ffffffffffff");
    await run(folder, "store", "gc", "--max-size", "0");
    assert.deepEqual(await list(), []);
    await refused(
      folder,
      /A size must be a number with a unit, such as .*"much"/,
      "store",
      "gc",
      "--max-size",
      "much",
    );
    await run(folder, "gen", "cute cat", ...SMALL, "-o", "b.png");
    assert.deepEqual(Deno.readFileSync(join(folder, "b.png")), Deno.readFileSync(join(folder, "a.png")));
  });
});

Deno.test("resume decodes the latents in the file itself, and the picture still records how they were made", async () => {
  await inFolder(async (folder) => {
    await Deno.writeFile(
      join(folder, "photo.png"),
      encodePng({ width: 64, height: 48, data: new Uint8Array(64 * 48 * 3).fill(90), channels: 3 }),
    );
    for (const [name, ...more] of [["text"], ["photo", "--image", "photo.png"]] as const) {
      const latents = `${name}.safetensors`;
      await run(
        folder,
        "gen",
        "cute cat",
        ...SMALL,
        ...more,
        "-o",
        `${name}-1.png`,
        "--save-latents",
        latents,
      );
      const { stdout } = await run(folder, "resume", latents, "--no-store", "-o", `${name}-2.png`, "--json");
      const started = stdout.split("\n").filter((line) => line.includes('"stage:start"'));
      assert.deepEqual(started.map((line) => JSON.parse(line).stage), ["decode"], name);
      assert.equal(await pixels(folder, `${name}-2.png`), await pixels(folder, `${name}-1.png`));
      const { stdout: described } = await run(folder, "inspect", `${name}-2.png`);
      assert.match(described, /cute cat/);
    }
    const { stderr } = await run(folder, "rerun", "text-2.png", "--no-store");
    assert.match(stderr, /The bytes are identical/);

    // The data follows the header, and the rest of the file stays the same.
    const bytes = await Deno.readFile(join(folder, "text.safetensors"));
    const header = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    new Float32Array(bytes.buffer, 8 + header).fill(NaN);
    await Deno.writeFile(join(folder, "nan.safetensors"), bytes);
    await refused(folder, /not finite|NaN|infinite/, "resume", "nan.safetensors", "-o", "nan.png");
  });
});

Deno.test("resume refuses another seed for a snapshot instead of ignoring it", async () => {
  await inFolder(async (folder) => {
    await run(folder, "encode", "cute cat", ...MODEL, "-o", "e.safetensors");
    await run(folder, "denoise", "e.safetensors", ...SMALL, "--stop-after", "3", "-o", "three.safetensors");
    await refused(
      folder,
      /Cannot change the seed of a snapshot because/,
      "resume",
      "three.safetensors",
      "-s",
      "5",
      "-o",
      "five.png",
    );
    await assert.rejects(Deno.stat(join(folder, "five.png")), Deno.errors.NotFound);
  });
});

Deno.test("resume --steps-more writes its snapshot without warnings, and refuses to save latents too", async () => {
  await inFolder(async (folder) => {
    await run(folder, "encode", "cute cat", ...MODEL, "-o", "e.safetensors");
    await run(folder, "denoise", "e.safetensors", ...SMALL, "--stop-after", "3", "-o", "three.safetensors");
    const more = ["resume", "three.safetensors", "--steps-more", "1"];
    const { stderr } = await run(folder, ...more, "-o", "four.safetensors");
    assert.doesNotMatch(stderr, /warning/);
    const tiled = await run(folder, ...more, "--vae-tiling", "none", "-o", "again.safetensors");
    assert.match(tiled.stderr, /--vae-tiling has no effect because the run decodes nothing/);
    await refused(
      folder,
      /Cannot save latents before the end/,
      ...more,
      "-o",
      "five.safetensors",
      "--save-latents",
      "l.safetensors",
    );
    await assert.rejects(Deno.stat(join(folder, "l.safetensors")), Deno.errors.NotFound);
  });
});

Deno.test("several seeds make a picture each from a file of embeddings, as from its prompts", async () => {
  await inFolder(async (folder) => {
    await run(folder, "encode", "cute cat", "a boat", ...MODEL, "-o", "e.safetensors");
    const count = async (name: string): Promise<number> => {
      const { tensors } = await readArtifact(join(folder, name));
      return tensors["latents"]!.shape[0]!;
    };
    await run(folder, "denoise", "e.safetensors", ...SMALL, "-s", "5,6", "-o", "two.safetensors");
    assert.equal(await count("two.safetensors"), 2);
    const four = [...SMALL, "-s", "5,6,7,8", "--until", "denoise", "--save-latents"];
    await run(folder, "gen", "--load-embeds", "e.safetensors", ...four, "four.safetensors");
    await run(folder, "gen", "cute cat", "a boat", ...four, "direct.safetensors");
    assert.equal(await count("four.safetensors"), 4);
    assert.deepEqual(
      (await readArtifact(join(folder, "four.safetensors"))).tensors,
      (await readArtifact(join(folder, "direct.safetensors"))).tensors,
    );
    await run(folder, "plan", "--load-embeds", "e.safetensors", ...SMALL, "-s", "5,6");
    const three = ["denoise", "e.safetensors", ...SMALL, "-s", "5,6,7", "-o", "x.safetensors"];
    await refused(folder, /expected 1 or 2 seeds, but there are 3/, ...three);
    await refused(folder, /expected 1 seed, but there are 2/, "gen", "cat", ...SMALL, "-s", "5,6", "-b", "1");
  });
});
