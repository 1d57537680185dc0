import assert from "node:assert/strict";
import { join } from "node:path";
import { decodePicture } from "../../../images/picture.ts";
import { inFolder, runCli, startCli, storeOf } from "../../cli/run_cli.ts";
import { seededRandom } from "../../random.ts";

const KILLS = 20;

// An ancestral scheduler draws noise in every step, so the generator's state must be right too.
const PICTURE = ["--steps", "4", "--scheduler", "euler_a", "--seed", "3"];
const GEN = ["gen", "a red heart", ...PICTURE];

async function run(folder: string, ...args: string[]): Promise<void> {
  const { status, stderr } = await runCli(folder, ...args);
  assert.equal(status, 0, stderr);
}

/** Compares two pictures: first their metadata, then every byte. */
async function assertSame(actual: string, expected: string): Promise<void> {
  const [a, b] = await Promise.all([actual, expected].map((path) => Deno.readFile(path)));
  const [textA, textB] = await Promise.all(
    [a!, b!].map(async (bytes) => (await decodePicture(bytes)).metadata),
  );
  assert.deepEqual(textA, textB, actual);
  assert.ok(
    a!.length === b!.length && a!.every((byte, index) => byte === b![index]),
    `${actual} has other pixels`,
  );
}

Deno.test("the picture is the same, byte for byte, in one command, a worker, processes, and three commands", async () => {
  await inFolder(async (folder) => {
    await run(folder, ...GEN, "--no-store", "-o", "inline.png");
    await run(folder, ...GEN, "--no-store", "-o", "worker.png", "--executor", "worker");
    await run(folder, ...GEN, "--store", "own", "-o", "process.png", "--executor", "process");
    await run(folder, ...GEN, "--no-store", "-o", "mixed.png", "--executor", "encode=process,denoise=worker");
    await run(folder, "encode", "a red heart", "--no-store", "-o", "e.safetensors");
    await run(folder, "denoise", "e.safetensors", ...PICTURE, "--no-store", "-o", "l.safetensors");
    await run(folder, "decode", "l.safetensors", "--no-store", "-o", "three.png");
    for (const name of ["worker.png", "process.png", "mixed.png", "three.png"]) {
      await assertSame(join(folder, name), join(folder, "inline.png"));
    }
  });
});

Deno.test(`after kills at ${KILLS} random moments, the same command continues to the same bytes`, async () => {
  await inFolder(async (folder) => {
    const [whole, killed] = ["whole.png", "killed.png"].map((name) => join(folder, name)) as [string, string];
    const started = performance.now();
    await run(folder, ...GEN, "--no-store", "-o", "whole.png");
    const wholeMs = performance.now() - started;
    const random = seededRandom();
    const args = [...GEN, "-o", "killed.png", "--checkpoint-every", "1"];
    for (let kills = 0; kills < KILLS;) {
      const child = startCli(folder, ...args);
      const timer = setTimeout(() => child.kill("SIGKILL"), random() * wholeMs);
      const { signal, code, stderr } = await child.output();
      clearTimeout(timer);
      if (signal === "SIGKILL") {
        kills += 1;
      } else {
        assert.equal(code, 0, new TextDecoder().decode(stderr));
        await assertSame(killed, whole);
        // The next kills happen in a separate run.
        await Deno.remove(storeOf(folder), { recursive: true });
      }
    }
    await run(folder, ...args);
    await assertSame(killed, whole);
    await run(folder, "store", "verify", "--remove");
    await run(folder, "store", "verify");
  });
});

Deno.test("a killed run continues from its snapshot, not from the start", async () => {
  await inFolder(async (folder) => {
    const args = [...GEN, "-o", "a.png", "--checkpoint-every", "1", "--json"];
    const child = startCli(folder, ...args);
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.split('"type":"checkpoint"').length > 2) break;
    }
    child.kill("SIGKILL");
    await child.status;
    await child.stderr.cancel();
    const { stdout } = await runCli(folder, ...args);
    const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const resumed = events.find(({ type }) => type === "stage:resumed");
    assert.ok(resumed.step >= 2, `It went on from step ${resumed.step}`);
    assert.equal(
      events.find(({ type, stage }) => type === "step" && stage === "denoise").step,
      resumed.step + 1,
    );
  });
});
