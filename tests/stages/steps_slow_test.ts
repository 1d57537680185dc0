import assert from "node:assert/strict";
import { unpackEmbeddings } from "../../artifacts/embeddings.ts";
import { imageLatents } from "../../artifacts/latents.ts";
import type { Tensor } from "../../artifacts/tensor.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { planGraph } from "../../graph/plan.ts";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { toPixels } from "../../images/pixels.ts";
import { resizeAndCrop } from "../../images/resize_and_crop.ts";
import { localRun } from "../../local.ts";
import { TorchGenerator } from "../../random/torch_generator.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { denoiseImage, type DenoiseStep } from "../../stages/denoise/loop.ts";
import {
  type DenoiseParameters,
  imageSeeds,
  openDenoiser,
  resolveDenoise,
} from "../../stages/denoise/settings.ts";
import { needing } from "../needing.ts";
import {
  caseFiles,
  caseRequest,
  caseTensors,
  deviation,
  type GoldenCase,
  goldenCases,
} from "./golden_cases.ts";

const local = localRun();

/**
 * Prints how much of its limit a value uses, for docs/parity.md: `SHOW_DEVIATIONS=1 deno task test
 * tests/stages`.
 */
function show(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(line));
}

Deno.test("the reference has 34 cases", () => assert.equal(goldenCases.length, 34));

for (const golden of goldenCases) {
  const name = `encode, denoise and decode match the reference at every step: ${golden.id}`;
  Deno.test(needing(caseFiles(golden), { name, fn: () => matchReference(golden) }));
}

async function matchReference(golden: GoldenCase): Promise<void> {
  const tensors = caseTensors(golden);
  const hold = (name: string, actual: ArrayLike<number>): void => {
    const share = deviation(golden, tensors, name, actual);
    if (Deno.env.has("SHOW_DEVIATIONS")) show(`${golden.id} ${name} ${share.toFixed(3)}\n`);
    assert.ok(share <= 1, `${name} deviates by ${share} of its limit`);
  };
  const request = caseRequest(golden);
  const guided = Number(request.guidanceScale ?? 4.5) > 1;

  // 1. Encode.
  const graph = textToImage({ ...request, seeds: [0] }, { pair: true });
  const until = guided ? "pair" : "prompt";
  const made = await runGraph(graph, { ...local, until });
  const embeddings = unpackEmbeddings(made.get(`${until}.embeddings`)!.artifact);
  holdEmbeddings(golden, tensors, embeddings, hold);

  // 2. Denoise the images one by one, and compare every step with the reference.
  const plan = planGraph(graph, local.registry);
  const parameters = plan.nodes.find(({ id }) => id === "denoise")!.parameters as DenoiseParameters;
  const denoiser = await openDenoiser(parameters, local.models);
  const settings = await resolveDenoise(parameters, denoiser);
  assert.equal(settings.guided, guided);
  const { model } = denoiser;
  await using transformer = await model.open(new OnnxRuntimeNode(), await model.component.weights(), {
    precision: "float32",
    bothBranches: guided,
    renderSize: settings.renderSize,
  });
  const images = golden.facts.batch;
  const noise = initialNoise(golden, tensors, settings.renderSize, images);
  const steps: DenoiseStep[][] = [];
  const latents: Float32Array[] = [];
  for (let image = 0; image < images; image++) {
    const prompt = Math.floor(image / parameters.imagesPerPrompt);
    const branches = [...(guided ? [embeddings.negatives![prompt]!] : []), embeddings.prompts[prompt]!];
    const texts = await Promise.all(branches.map((branch) => transformer.prepareText(branch)));
    const taken: DenoiseStep[] = [];
    latents.push(
      await denoiseImage({
        model,
        denoiser: transformer,
        settings,
        texts,
        generator: { randn: stepNoise(golden, tensors, image, images, noise) },
        noise: imageLatents(noise, image).data,
        shape: imageLatents(noise, image).shape,
        signal: new AbortController().signal,
        onStep: (step) => taken.push(step),
      }),
    );
    steps.push(taken);
  }
  holdSteps(golden, tensors, steps, guided, hold);
  hold("final_latents", concat(latents));

  // 3. Decode the same latents.
  if (!tensors["image_float"]) return;
  const latentsArtifact = {
    kind: "latents",
    tensors: { latents: tensor("float32", [images, ...noise.shape.slice(1)], concat(latents)) },
    metadata: { size: { ...settings.size } },
  };
  const decoded = await runGraph(
    textToImage({ model: request.model, variant: request.variant, vae: request.vae }, {
      latentsFile: "latents",
    }),
    { ...local, readFile: () => Promise.resolve({ artifact: latentsArtifact }) },
  );
  const image = decoded.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">;
  const picture = resizeAndCrop(image, settings.size.height, settings.size.width);
  hold("image_float", picture.data);
  if (tensors["image_uint8"]) hold("image_uint8", concatBytes(toPixels(picture).map(({ data }) => data)));
}

/** Compares the text encoder's rows of real tokens: negative prompts first, each repeated for its images. */
function holdEmbeddings(
  golden: GoldenCase,
  tensors: Readonly<Record<string, Tensor>>,
  { prompts, negatives }: ReturnType<typeof unpackEmbeddings>,
  hold: (name: string, actual: ArrayLike<number>) => void,
): void {
  const expected = tensors["encoder_hidden_states"];
  const mask = tensors["encoder_attention_mask"];
  if (!expected || !mask) return;
  const [rows = 0, length = 0] = mask.shape;
  const repeats = golden.facts.batch / prompts.length;
  const all = [...(negatives ?? []), ...prompts].flatMap((prompt) =>
    Array(repeats).fill(prompt) as typeof prompts
  );
  assert.equal(all.length, rows);
  const channels = prompts[0]!.shape[1]!;
  // Padding differs intentionally, so the reference's own values are used for it.
  const { start, stride } = golden.tensors["encoder_hidden_states"]?.sample ?? { start: 0, stride: 1 };
  const actual = new Float32Array(rows * length * channels);
  for (let i = 0; i < expected.data.length; i++) actual[start + i * stride] = Number(expected.data[i]);
  all.forEach((prompt, row) => {
    assert.equal(
      prompt.shape[0],
      (mask.data as BigInt64Array).slice(row * length, (row + 1) * length).filter((bit) => bit === 1n).length,
    );
    actual.set(prompt.data, row * length * channels);
  });
  hold("encoder_hidden_states", actual);
}

/** Draws the case's noise from its seeds, checks it against the stored noise, and returns it. */
function initialNoise(
  golden: GoldenCase,
  tensors: Readonly<Record<string, Tensor>>,
  { height, width }: { height: number; width: number },
  images: number,
): Tensor<"float32"> {
  const shape = [images, 4, height / 8, width / 8];
  const count = images * 4 * (height / 8) * (width / 8);
  const stored = tensors["initial_noise"]!;
  if (golden.seed === null) return stored as Tensor<"float32">;
  const drawn = Array.isArray(golden.seed)
    ? concat(imageSeeds(golden.seed, images).map((seed) => new TorchGenerator(seed).randn(count / images)))
    : new TorchGenerator(BigInt(golden.seed)).randn(count);
  const { start, stride } = golden.tensors["initial_noise"]?.sample ?? { start: 0, stride: 1 };
  stored.data.forEach((value: number | bigint, i: number) =>
    assert.ok(Math.abs(Number(value) - drawn[start + i * stride]!) <= 3e-6)
  );
  return tensor("float32", shape, drawn);
}

/**
 * Returns the noise of stochastic steps, taken from the stored draws as one generator draws for all images of
 * a batch.
 */
function stepNoise(
  golden: GoldenCase,
  tensors: Readonly<Record<string, Tensor>>,
  image: number,
  images: number,
  noise: Tensor<"float32">,
): (count: number) => Float32Array {
  const stored = tensors["step_noise"]?.data as Float32Array | undefined;
  let draw = 0;
  if (stored && images > 1) {
    return (count) => {
      const start = (draw++ * images + image) * count;
      return stored.subarray(start, start + count);
    };
  }
  const seeds = golden.seed === null ? [0] : [golden.seed].flat();
  const generator = new TorchGenerator(BigInt(seeds[image] ?? seeds[0]!));
  generator.randn(noise.data.length / images);
  return (count) => generator.randn(count);
}

/** Compares every step's raw output, guided prediction and latents. */
function holdSteps(
  golden: GoldenCase,
  tensors: Readonly<Record<string, Tensor>>,
  steps: readonly (readonly DenoiseStep[])[],
  guided: boolean,
  hold: (name: string, actual: ArrayLike<number>) => void,
): void {
  const calls = steps[0]!.map((_, call) => call);
  const wanted = golden.tensors["model_output"]?.calls ?? calls;
  const gather = (of: readonly number[], pick: (step: DenoiseStep) => Float32Array): Float32Array =>
    concat(of.flatMap((call) => steps.map((taken) => pick(taken[call]!))));
  const timesteps = tensors["timesteps"];
  if (timesteps) {
    timesteps.data.forEach((value: number | bigint, call: number) => {
      const limit = timesteps.dtype === "int64" ? 0 : 0.01;
      assert.ok(Math.abs(Number(value) - steps[0]![call]!.timestep) <= limit);
    });
  }
  if (tensors["model_output"]) {
    const branches = guided ? [0, 1] : [0];
    hold(
      "model_output",
      concat(
        wanted.flatMap((call) => branches.map((branch) => gather([call], ({ outputs }) => outputs[branch]!))),
      ),
    );
  }
  if (tensors["noise_pred"]) hold("noise_pred", gather(calls, ({ prediction }) => prediction));
  if (tensors["latents"]) hold("latents", gather(calls, ({ sample }) => sample));
}

/** Concatenates arrays. */
function concat(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Concatenates bytes. */
function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}
