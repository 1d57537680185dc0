import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, runCli } from "../cli/run_cli.ts";
import { ServerProcess } from "../server/server_process.ts";

const example = (path: string): string =>
  fileURLToPath(new URL(`../../examples/plugins/${path}`, import.meta.url));
const MODEL = example("palette-model");
const PLUGIN = ["--plugin", example("palette.ts")];

/** Asserts that a picture is red on the left and blue on the right. */
async function assertRedAndBlue(picture: Uint8Array): Promise<void> {
  const { pixels: { data, width, height } } = await decodePicture(picture);
  assert.deepEqual([width, height], [128, 128]);
  const colour = (column: number): Uint8Array => data.subarray(3 * column, 3 * column + 3);
  const [left, right] = [colour(4), colour(width - 4)];
  assert.ok(left[0]! > 200 && left[2]! < 80, `red: ${left}`);
  assert.ok(right[2]! > 200 && right[0]! < 80, `blue: ${right}`);
}

Deno.test("plan, gen, resume and rerun support the architecture of a plugin", () =>
  inFolder(async (folder) => {
    const run = async (...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await runCli(folder, ...args, ...PLUGIN);
      assert.equal(status, 0, stderr);
      return stdout;
    };
    const read = (name: string): Promise<Uint8Array> => Deno.readFile(join(folder, name));
    const request = ["red blue", "-m", MODEL, "--seed", "5"];

    const plan = await run("plan", ...request, "--max-memory", "1GB");
    for (const stage of ["encode", "denoise", "decode"]) assert.match(plan, new RegExp(`\\b${stage}\\b`));

    await run("gen", ...request, "-o", "a.png", "--max-memory", "1GB");
    await assertRedAndBlue(await read("a.png"));

    // Another seed encodes nothing again.
    const events = await run("resume", "a.png", "--seed", "6", "-o", "b.png", "--json");
    assert.deepEqual(
      events.trim().split("\n").map((line) => JSON.parse(line))
        .flatMap(({ type, stage }) => type === "stage:start" ? [stage] : []),
      ["denoise", "decode"],
    );
    await assertRedAndBlue(await read("b.png"));
    assert.notDeepEqual(await read("b.png"), await read("a.png"));
    await run("rerun", "b.png", "--no-store");
  }));

Deno.test("the server supports the architecture of a plugin", () =>
  inFolder(async (store) => {
    const models = [`palette=${MODEL}`];
    await using server = await new ServerProcess({ store, models, args: PLUGIN }).listens();
    const reply = await fetch(`${server.url}/v1/images/generations`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "palette", prompt: "red blue", seed: 5 }),
    });
    const { data, error } = await reply.json();
    assert.equal(reply.status, 200, JSON.stringify(error));
    await assertRedAndBlue(Uint8Array.fromBase64(data[0].b64_json));
  }));
