import assert from "node:assert/strict";
import type { Artifact } from "../../../artifacts/artifact.ts";
import { packEmbeddings } from "../../../artifacts/embeddings.ts";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import type { RunEvent } from "../../../graph/events.ts";
import { runGraph } from "../../../graph/run.ts";
import type { RunOptions } from "../../../graph/run_options.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { localRun } from "../../../local.ts";
import { goldenPath } from "../../goldens.ts";

const local = localRun({ threads: 1 });
const model = goldenPath("checkpoints/tiny-alpha-512");
const other = goldenPath("checkpoints/tiny-lcm");
const small = { model, height: 64, width: 64, resolutionBinning: false, steps: 2 };

const encode = (prompts: readonly string[], from = model) => ({
  stage: "encode",
  parameters: { model: from, prompts },
});
const prompt = encode(["cute cat", "a boat"]);
const negative = encode([""]);
const inputs = { embeddings: "prompt.embeddings", negative: "negative.embeddings" };

function latents(...shape: number[]): Artifact {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  return { kind: "latents", tensors: { latents: tensor("float32", shape, data) }, metadata: {} };
}

/** Returns embeddings of prompts without negative prompts, as a file may contain them. */
function embeddings(prompts: number, channels: number): Artifact {
  const one = tensor("float32", [2, channels], new Float32Array(2 * channels));
  return packEmbeddings({ prompts: Array.from({ length: prompts }, () => one) }, 4, {});
}

async function run(
  nodes: Record<string, unknown>,
  options: Partial<RunOptions> = {},
): Promise<{ events: RunEvent[]; error?: unknown; ids: string[] }> {
  const events: RunEvent[] = [];
  const all = { ...local, ...options, onEvent: (event: RunEvent) => events.push(event) };
  try {
    const made = await runGraph({ pixstage: 1, nodes }, all);
    return { events, ids: [...made.values()].map(({ id }) => id) };
  } catch (error) {
    return { events, error, ids: [] };
  }
}

/** Returns the nodes that events are about. */
const told = (events: readonly RunEvent[]): string[] => [
  ...new Set(events.flatMap((event) => "nodeIndex" in event ? [event.node] : [])),
];

/**
 * Invalid graphs, each with the node at fault (unless a file is at fault), the error, and the file to read.
 */
const FAULTS: readonly [name: string, nodes: object, node: string, told: RegExp, file?: Artifact][] = [
  [
    "initial noise of another size",
    {
      prompt,
      negative,
      denoise: { stage: "denoise", parameters: small, inputs: { ...inputs, noise: file() } },
    },
    "denoise",
    /^Cannot use initial noise of shape \[2,4,8,16\]: expected \[2,4,8,8\]$/,
    latents(2, 4, 8, 16),
  ],
  [
    "initial noise for another number of pictures",
    {
      prompt,
      negative,
      denoise: { stage: "denoise", parameters: small, inputs: { ...inputs, noise: file() } },
    },
    "denoise",
    /^Cannot use initial noise of shape \[1,4,8,8\]: expected \[2,4,8,8\]$/,
    latents(1, 4, 8, 8),
  ],
  [
    "embeddings of another text encoder",
    {
      prompt: encode(["cute cat"], other),
      denoise: {
        stage: "denoise",
        parameters: { ...small, guidanceScale: 1 },
        inputs: { embeddings: "prompt.embeddings" },
      },
    },
    "denoise",
    /^Cannot use embeddings with 28 channels: this transformer expects 32\. Encode with the checkpoint/,
  ],
  [
    "embeddings of another text encoder in a file",
    {
      denoise: {
        stage: "denoise",
        parameters: { ...small, guidanceScale: 1 },
        inputs: { embeddings: file() },
      },
    },
    "denoise",
    /^Cannot use embeddings with 12 channels: this transformer expects 32/,
    embeddings(1, 12),
  ],
  [
    "another checkpoint's transformer that takes other embeddings",
    {
      prompt,
      negative,
      denoise: {
        stage: "denoise",
        parameters: { ...small, transformer: goldenPath("checkpoints/tiny-sigma") },
        inputs,
      },
    },
    "denoise",
    /^Cannot use embeddings with 32 channels: this transformer expects \d+\. Encode with the checkpoint/,
  ],
  [
    "a seed beyond the last in second place",
    {
      prompt,
      negative,
      denoise: { stage: "denoise", parameters: { ...small, seeds: ["18446744073709551615"] }, inputs },
    },
    "denoise",
    /^A seed must be from -2\^63 to 2\^64 - 1: current value is 18446744073709551616$/,
  ],
  [
    "a number of seeds that fits no pictures",
    { prompt, negative, denoise: { stage: "denoise", parameters: { ...small, seeds: [1, 2, 3] }, inputs } },
    "denoise",
    /^Cannot seed the images: expected 1 or 2 seeds, but there are 3$/,
  ],
  [
    "guidance without negative prompts",
    { prompt, denoise: { stage: "denoise", parameters: small, inputs: { embeddings: "prompt.embeddings" } } },
    "denoise",
    /^Cannot use guidance scale 4\.5 because the embeddings contain no negative_prompt_embeds\. Give negative/,
  ],
  [
    "guidance without negative prompts in a file",
    { denoise: { stage: "denoise", parameters: small, inputs: { embeddings: file() } } },
    "denoise",
    /^Cannot use guidance scale \S+ because the embeddings contain no negative_prompt_embeds/,
    embeddings(1, 32),
  ],
  [
    "a number of negative prompts that fits no prompts",
    {
      prompt: encode(["cute cat", "a boat", "a moon"]),
      negative: encode(["dark", "blurry"]),
      denoise: { stage: "denoise", parameters: small, inputs },
    },
    "denoise",
    /^Cannot use guidance: expected 1 or 3 negative prompts, but there are 2$/,
  ],
  [
    "latents of another autoencoder",
    { prompt, decode: { stage: "decode", parameters: { model }, inputs: { latents: file() } } },
    "decode",
    /^Cannot decode latents of shape \[1,16,8,8\]: the decoder expects \[images, 4, height, width\]$/,
    latents(1, 16, 8, 8),
  ],
  [
    "initial noise of whole numbers",
    noisy(),
    "",
    /^given: Cannot convert latents from int64 to float32: it must contain floats /,
    { ...latents(), tensors: { latents: tensor("int64", [2, 4, 8, 8], new BigInt64Array(512)) } },
  ],
  [
    "initial noise under another name",
    noisy(),
    "",
    /^given: Cannot use latents: the file must contain a tensor "latents", but contains noise$/,
    { ...latents(), tensors: { noise: tensor("float32", [2, 4, 8, 8], new Float32Array(512)) } },
  ],
  [
    "initial noise that is not finite",
    noisy(),
    "",
    /^given: Cannot use latents: all values must be finite, but value 0 is NaN$/,
    { ...latents(), tensors: { latents: tensor("float32", [1, 1, 1, 1], Float32Array.of(NaN)) } },
  ],
  [
    "embeddings that are not finite",
    { denoise: { stage: "denoise", parameters: small, inputs: { embeddings: file() } } },
    "",
    /^given: Cannot use embeddings: all values must be finite, but prompt_embeds of prompt 0 contains Infinity$/,
    packEmbeddings({ prompts: [tensor("float32", [1, 2], Float32Array.of(0, Infinity))] }, 4, {}),
  ],
  [
    "embeddings without a mask",
    { denoise: { stage: "denoise", parameters: small, inputs: { embeddings: file() } } },
    "",
    /^given: Cannot use embeddings: they must contain the tensors prompt_embeds and prompt_attention_mask/,
    { ...latents(), kind: "embeddings", tensors: { prompt_embeds: latents(1, 4, 32).tensors["latents"]! } },
  ],
  [
    "latents whose metadata is of another type",
    { prompt, decode: { stage: "decode", parameters: { model }, inputs: { latents: file() } } },
    "",
    /^given: Cannot use latents: in their metadata, size\.height must be of type number: current value is "tall"$/,
    { ...latents(1, 4, 8, 8), metadata: { size: { height: "tall", width: 1 } } },
  ],
  [
    "a mixture of other numbers of prompts",
    {
      prompt,
      negative,
      mixed: {
        stage: "interpolate",
        parameters: { amount: 0.5 },
        inputs: { from: "prompt.embeddings", to: "negative.embeddings" },
      },
    },
    "mixed",
    /^Cannot interpolate embeddings whose numbers of prompts and channels differ: they are 2 x 32 and 1 x 32$/,
  ],
  [
    "a mixture whose initial noise is of another size",
    {
      prompt,
      mixed: {
        stage: "interpolate",
        parameters: { amount: 0.5 },
        inputs: { from: "prompt.embeddings", to: "prompt.embeddings" },
      },
      denoise: {
        stage: "denoise",
        parameters: { ...small, guidanceScale: 1 },
        inputs: { embeddings: "mixed.embeddings", noise: file() },
      },
    },
    "denoise",
    /^Cannot use initial noise of shape \[1,4,8,8\]: expected \[2,4,8,8\]$/,
    latents(1, 4, 8, 8),
  ],
  [
    "a number of negative prompts that can be laid beside no prompts",
    {
      prompt: encode(["cute cat", "a boat", "a moon"]),
      negative: encode(["dark", "blurry"]),
      pair: { stage: "pair", inputs: { positive: "prompt.embeddings", negative: "negative.embeddings" } },
    },
    "pair",
    /^Cannot pair embeddings: expected 1 or 3 negative prompts, but there are 2$/,
  ],
  [
    "tiles that overlap by more than their size",
    {
      prompt,
      decode: {
        stage: "decode",
        parameters: { model, tiling: "blended", tileSize: 72 },
        inputs: { latents: file() },
      },
    },
    "decode",
    /^tileOverlap must be smaller than tileSize, 72: current value is 128$/,
    latents(1, 4, 8, 8),
  ],
];

/** Returns the input for a file. */
function file() {
  return { file: "given" };
}

/** Returns a denoising that starts from a file of initial noise. */
function noisy() {
  return {
    prompt,
    negative,
    denoise: { stage: "denoise", parameters: small, inputs: { ...inputs, noise: file() } },
  };
}

for (const [name, nodes, at, message, given] of FAULTS) {
  Deno.test(`refused before anything runs: ${name}`, async () => {
    const readFile = () => Promise.resolve({ artifact: given! });
    const { events, error } = await run({ ...nodes }, { readFile });
    assert.match((error as Error).message, message);
    assert.deepEqual(events.map(({ type }) => type), ["failed"]);
    const [failed] = events;
    assert.ok(failed?.type === "failed");
    assert.equal(failed.node ?? "", at);
  });
}

Deno.test("without guidance the negative prompt is not encoded, and the result does not depend on it", async () => {
  const store = new MemoryStore();
  const request = { ...small, prompts: ["cute cat"], guidanceScale: 1 };
  const { nodes } = textToImage({ ...request, negativePrompt: "blurry" });
  assert.ok("negative" in nodes);
  const first = await run(nodes, { store });
  assert.equal(first.error, undefined);
  assert.deepEqual(told(first.events), ["prompt", "denoise", "decode"]);
  assert.ok(first.events.every((event) => !("nodeIndex" in event) || event.nodes === 3));
  const texts = first.events.filter((event) => event.type === "step" && event.stage === "encode");
  assert.equal(texts.length, 1, "one text goes through the encoder");

  // Another negative prompt, or none, makes no difference to the run.
  for (const negativePrompt of ["dark", undefined]) {
    const { nodes } = textToImage({ ...request, ...(negativePrompt ? { negativePrompt } : {}) });
    if (negativePrompt === undefined) {
      delete nodes["negative"];
      nodes["denoise"]!.inputs = { embeddings: "prompt.embeddings" };
    }
    const { events, ids } = await run(nodes, { store });
    assert.deepEqual(events.filter(({ type }) => type === "stage:start"), []);
    assert.deepEqual(ids, first.ids);
  }

  // A scale below 0 also means no guidance, as in diffusers.
  const below = await run(textToImage({ ...request, guidanceScale: -2 }).nodes, { store });
  assert.deepEqual(told(below.events), ["prompt", "denoise", "decode"]);
  const [pictures, expected] = await Promise.all([below.ids[0]!, first.ids[0]!].map((id) => store.get(id)));
  assert.deepEqual(pictures?.tensors, expected?.tensors);

  // With guidance, the negative prompt is needed.
  const guided = await run(textToImage({ ...request, guidanceScale: 3 }).nodes, { store });
  assert.deepEqual(told(guided.events), ["prompt", "negative", "denoise", "decode"]);
  assert.notDeepEqual(guided.ids, first.ids);
});

Deno.test("a guidance scale below 0 returns diffusers' latents, which are those without guidance", async () => {
  // PixArtAlphaPipeline of diffusers 0.42.1 with guidance_scale=-2, the first of its latents.
  const expected = [0.29035094380378723, 0.26646785570144653, 0.5650352835655212, 0.32155299186706543];
  const { nodes } = textToImage({ ...small, prompts: ["cute cat"], guidanceScale: -2 });
  const made = await runGraph({ pixstage: 1, nodes }, { ...local, until: "denoise" });
  const { data } = made.get("denoise.latents")!.artifact.tensors["latents"]!;
  for (const [index, value] of expected.entries()) {
    assert.ok(Math.abs(Number(data[index]) - value) < 2e-5, `${data[index]} for ${value}`);
  }
});
