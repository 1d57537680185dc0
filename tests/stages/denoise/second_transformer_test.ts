import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import { runGraph } from "../../../graph/run.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { localRun } from "../../../local.ts";
import { inFolder } from "../../cli/run_cli.ts";
import { goldenPath } from "../../goldens.ts";

const FIRST = goldenPath("checkpoints/tiny-alpha-512");
const local = localRun({ threads: 1 });
const store = new MemoryStore();
const small = {
  model: FIRST,
  prompts: ["cute cat"],
  height: 64,
  width: 64,
  resolutionBinning: false,
  steps: 4,
};

/** Returns the latents of a run in which another transformer performs the steps from the second one on. */
async function latents(second: string | undefined, stopAfter = 2): Promise<string> {
  const { nodes } = textToImage(small);
  const { parameters, inputs } = nodes["denoise"]!;
  const begin = { stage: "denoise-part", parameters: { ...parameters, stopAfter }, inputs: inputs! };
  const rest = {
    stage: "denoise",
    parameters: { ...parameters, ...(second === undefined ? {} : { transformer: second }) },
    inputs: { checkpoint: "begin.checkpoint" },
  };
  const { prompt, negative } = nodes;
  const document = { pixstage: 1, nodes: { prompt: prompt!, negative: negative!, begin, rest } } as const;
  const made = await runGraph(document, { ...local, store, until: "rest" });
  return made.get("rest.latents")!.id;
}

Deno.test("another transformer takes the steps behind a state, and the same one makes the same bytes", async () => {
  await inFolder(async (folder) => {
    const whole = await runGraph(textToImage(small), { ...local, store, until: "denoise" });
    const plain = whole.get("denoise.latents")!.id;
    assert.equal(await latents(undefined), plain);
    const other = join(folder, "other");
    await cp(join(FIRST, "transformer"), other, { recursive: true });
    await changeOneWeight(join(other, "diffusion_pytorch_model.safetensors"));
    const second = await latents(other);
    assert.notEqual(second, plain);
    assert.notEqual(await latents(other, 3), second);
  });
});

/** Inverts the bits of the file's last weight. */
async function changeOneWeight(path: string): Promise<void> {
  const bytes = await Deno.readFile(path);
  bytes[bytes.length - 2]! ^= 0x7f;
  await Deno.writeFile(path, bytes);
}
