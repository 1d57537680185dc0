/**
 * The reference's cases of runs from pictures, with and without masks: every step, and the whole graph.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Artifact } from "../../../artifacts/artifact.ts";
import { unpackEmbeddings } from "../../../artifacts/embeddings.ts";
import { drawLatents, imageLatents } from "../../../artifacts/latents.ts";
import { maskRow } from "../../../artifacts/mask.ts";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import type { PictureRequestInput } from "../../../graph/picture_request.ts";
import { planGraph } from "../../../graph/plan.ts";
import { runGraph } from "../../../graph/run.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { toPixels } from "../../../images/pixels.ts";
import { localRun } from "../../../local.ts";
import { TorchGenerator } from "../../../random/torch_generator.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { denoiseImage, type DenoiseStep } from "../../../stages/denoise/loop.ts";
import { noisedPicture, outlinePicture } from "../../../stages/denoise/picture.ts";
import { type DenoiseParameters, openDenoiser, resolveDenoise } from "../../../stages/denoise/settings.ts";
import { goldenPath, hasGolden } from "../../goldens.ts";
import {
  CaseValues,
  inputPath,
  type PictureCase,
  pictureCases,
  type PictureGoldens,
} from "./picture_goldens.ts";

/** A case of a run that starts from pictures. */
export interface FromPictureCase extends PictureCase {
  readonly checkpoint: string;
  readonly load: {
    readonly variant?: string;
    readonly vae?: string;
    readonly scheduler?: { readonly class: string; readonly overrides: Record<string, never> };
  };
  readonly posterior?: "mode";
  readonly mask?: readonly string[];
  readonly mask_mode?: "soft";
  readonly masked_image_draw?: boolean;
  readonly call: {
    readonly prompt: string | readonly string[];
    readonly negative_prompt?: string | readonly string[];
    readonly images: readonly string[];
    readonly strength: number;
    readonly num_inference_steps: number;
    readonly num_images_per_prompt?: number;
    readonly guidance_scale: number;
    readonly height: number;
    readonly width: number;
    readonly use_resolution_binning: boolean;
    readonly eta?: number;
  };
  readonly facts: { readonly batch: number; readonly kept_steps: number };
}

const local = localRun();

/** Returns the cases of a part of the reference whose checkpoint is available. */
export function fromPictureCases(part: PictureGoldens): readonly FromPictureCase[] {
  return pictureCases<FromPictureCase>(part).filter(({ checkpoint, load }) =>
    hasGolden(`checkpoints/${checkpoint}`) && (load.vae === undefined || hasGolden(`checkpoints/${load.vae}`))
  );
}

/** Returns the request that corresponds to a case's call. */
export function fromPictureRequest(
  { call, checkpoint, load, seed, mask_mode }: FromPictureCase,
): PictureRequestInput {
  const fields = {
    model: goldenPath(`checkpoints/${checkpoint}`),
    variant: load.variant,
    vae: load.vae && goldenPath(`checkpoints/${load.vae}`),
    prompts: [call.prompt].flat(),
    negativePrompt: call.negative_prompt,
    height: call.height,
    width: call.width,
    steps: call.num_inference_steps,
    strength: call.strength,
    guidanceScale: call.guidance_scale,
    imagesPerPrompt: call.num_images_per_prompt,
    resolutionBinning: call.use_resolution_binning,
    eta: call.eta,
    scheduler: load.scheduler?.class,
    schedulerOptions: load.scheduler?.overrides,
    seeds: [seed].flat(),
    softMask: mask_mode === "soft" ? true : undefined,
  };
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as unknown as PictureRequestInput;
}

/** Returns the graph of a case that starts from one of its pictures. */
function graphOf(golden: FromPictureCase, picture: number, request = fromPictureRequest(golden)) {
  const { images } = golden.call;
  const mask = golden.mask?.[picture % golden.mask.length];
  const graph = textToImage(request, {
    image: { file: inputPath(images[picture]!) },
    ...(mask === undefined ? {} : { mask: { file: inputPath(mask) } }),
  });
  if (golden.posterior) graph.nodes["picture"]!.parameters!["posterior"] = golden.posterior;
  return graph;
}

/**
 * Returns whether one image starts from one picture. Then the whole graph has the same result as the
 * reference.
 */
export function isSingle({ facts, masked_image_draw }: FromPictureCase): boolean {
  return facts.batch === 1 && masked_image_draw !== false;
}

/**
 * Runs the whole graph of a case with one image, and compares the picture and its latents with the reference.
 */
export async function matchGraph(part: PictureGoldens, golden: FromPictureCase): Promise<void> {
  const values = new CaseValues(part, golden);
  const store = new MemoryStore();
  const made = await runGraph(graphOf(golden, 0), { ...local, store, outputs: ["denoise.latents"] });
  const { latents } = made.get("denoise.latents")!.artifact.tensors as { latents: Tensor<"float32"> };
  const { shape, sample } = golden.tensors["latents"]!;
  assert.equal(shape[0], golden.tensors["timesteps_used"]?.shape[0] ?? golden.facts.kept_steps);
  if (!sample) values.holdEnd("latents", latents.data);
  const { image } = made.get("decode.image")!.artifact.tensors as { image: Tensor<"float32"> };
  values.hold("image_float", image.data);
  assert.equal(toPixels(image).length, 1);
}

/** Draws like the reference: from one generator for the whole batch, or from one per image. */
class Draws {
  readonly #generators: readonly TorchGenerator[];
  readonly #batch: number;

  constructor(seed: number | readonly number[], batch: number) {
    this.#generators = [seed].flat().map((one) => new TorchGenerator(one));
    this.#batch = batch;
  }

  /** Whether each image has its own generator. */
  get isList(): boolean {
    return this.#generators.length > 1;
  }

  /** Returns a number of values for each row. */
  rows(count: number, size: number): Float32Array[] {
    if (this.isList) return this.#generators.slice(0, count).map((generator) => generator.randn(size));
    const all = this.#generators[0]!.randn(count * size);
    return Array.from({ length: count }, (_, row) => all.slice(row * size, (row + 1) * size));
  }

  /** Returns the noise of each step for each image, drawn when the first image requests it. */
  steps(size: number): (image: number) => (count: number) => Float32Array {
    const drawn: Float32Array[][] = [];
    return (image) => {
      let step = 0;
      return () => (drawn[step++] ??= this.rows(this.#batch, size))[image]!;
    };
  }
}

/**
 * Runs a case step by step, with the reference's draws for each image, and compares every step with the
 * reference.
 */
export async function matchSteps(part: PictureGoldens, golden: FromPictureCase): Promise<void> {
  const values = new CaseValues(part, golden);
  const request = fromPictureRequest(golden);
  const { batch } = golden.facts;
  const guided = golden.call.guidance_scale > 1;

  // 1. Encode texts and pictures.
  const graph = graphOf(golden, 0, { ...request, seeds: [0] });
  const run = { ...local, store: new MemoryStore() };
  const texts = guided ? ["prompt.embeddings", "negative.embeddings"] : ["prompt.embeddings"];
  const encoded: Artifact[] = [];
  const masks: Tensor<"float32">[] = [];
  for (const picture of golden.call.images.keys()) {
    const { picture: node, mask } = graphOf(golden, picture, { ...request, seeds: [0] }).nodes;
    const nodes = { picture: node!, ...(mask ? { mask } : {}) };
    const outputs = ["picture.latents"];
    const made = await runGraph({ pixstage: 1, nodes }, { ...run, outputs });
    encoded.push(made.get("picture.latents")!.artifact);
    if (mask) masks.push(made.get("mask.mask")!.artifact.tensors["mask"] as Tensor<"float32">);
  }
  const { prompt, negative } = graph.nodes;
  const made = await runGraph({
    pixstage: 1,
    nodes: guided ? { prompt: prompt!, negative: negative! } : { prompt: prompt! },
  }, {
    ...run,
    outputs: texts,
  });
  const [prompts, negatives] = texts.map((name) => unpackEmbeddings(made.get(name)!.artifact).prompts);

  // 2. Resolve the run.
  const plan = planGraph(graph, local.registry);
  const parameters = plan.nodes.find(({ id }) => id === "denoise")!.parameters as DenoiseParameters;
  const denoiser = await openDenoiser(parameters, local.models);
  const shapes = { latents: encoded[0]!.tensors["latents"]!.shape };
  const outline = { kind: "latents", shapes, metadata: encoded[0]!.metadata };
  const picture = outlinePicture({
    image: outline,
    ...(golden.mask ? { mask: { kind: "mask", shapes: {}, metadata: {} } } : {}),
  }, denoiser.model);
  const settings = await resolveDenoise(parameters, denoiser, picture);
  const beginning = settings.picture!;
  if (values.has("timesteps_used")) values.hold("timesteps_used", settings.timesteps);
  assert.equal(beginning.strength, golden.call.strength);

  // 3. Draw random numbers like the reference.
  const size = shapes.latents.reduce((product, side) => product * side, 1);
  const draws = new Draws(golden.seed, batch);
  const pictures = encoded.length;
  const drawn = draws.isList && part === "img2img" ? batch : pictures;
  const hasDeviation = encoded[0]!.tensors["deviation"] !== undefined;
  const posterior = hasDeviation ? draws.rows(drawn, size) : [];
  if (hasDeviation) values.hold("posterior_noise", joined(posterior));
  const noise = draws.rows(batch, size);
  values.hold("noise", joined(noise));
  if (golden.mask && hasDeviation && golden.masked_image_draw !== false) draws.rows(pictures, size);
  const stepNoise = draws.steps(size);
  const clean = Array.from({ length: hasDeviation ? drawn : pictures }, (_, row) => {
    const { latents, deviation } = encoded[row % pictures]!.tensors as Record<string, Tensor<"float32">>;
    return deviation ? drawLatents(latents!.data, deviation.data, posterior[row]!) : latents!.data;
  });
  if (!draws.isList || part !== "img2img") values.hold("image_latents", joined(clean));

  // 4. Denoise the images one by one.
  const { model } = denoiser;
  await using transformer = await model.open(new OnnxRuntimeNode(), await model.component.weights(), {
    precision: "float32",
    bothBranches: settings.bothBranches,
    renderSize: settings.renderSize,
  });
  const taken: DenoiseStep[][] = [];
  const begun: Float32Array[] = [];
  for (let image = 0; image < batch; image++) {
    const index = Math.floor(image / parameters.imagesPerPrompt);
    const branches = [
      ...(guided ? [negatives![negatives!.length === 1 ? 0 : index]!] : []),
      prompts![index]!,
    ];
    const prepared = [];
    for (const branch of branches) prepared.push(await transformer.prepareText(branch));
    const mask = masks[image % Math.max(masks.length, 1)];
    const imagePicture = {
      clean: clean[image % clean.length]!,
      mask: mask && maskRow(mask, 0, shapes.latents[1]!),
    };
    const scheduler = settings.createScheduler();
    begun.push(noisedPicture(imagePicture, noise[image]!, beginning, scheduler));
    const steps: DenoiseStep[] = [];
    await denoiseImage({
      model,
      denoiser: transformer,
      settings,
      texts: prepared,
      generator: { randn: stepNoise(image) },
      noise: noise[image]!,
      picture: imagePicture,
      shape: shapes.latents,
      signal: new AbortController().signal,
      onStep: (step) => steps.push(step),
    });
    taken.push(steps);
  }
  values.hold(
    "mask_latents",
    joined(
      Array.from({ length: batch }, (_, image) => masks[image % masks.length]?.data ?? new Float32Array()),
    ),
  );
  values.hold("latents_init", joined(begun));
  const calls = settings.timesteps.map((_, call) => taken.map((steps) => steps[call]!));
  const gather = (tensor: string, pick: (step: DenoiseStep) => Float32Array): Float32Array => {
    const { calls: stored = [...calls.keys()] } = golden.tensors[tensor] ?? {};
    return joined(stored.flatMap((call) => calls[call]!.map(pick)));
  };
  values.hold("noise_pred", gather("noise_pred", ({ prediction }) => prediction));
  values.hold("latents", gather("latents", ({ sample }) => sample));
  values.hold("latents_before_blend", gather("latents_before_blend", ({ stepped }) => stepped));

  // 5. Decode.
  const latents = tensor(
    "float32",
    [batch, ...shapes.latents.slice(1)],
    joined(taken.map((steps) => steps.at(-1)!.sample)),
  );
  assert.equal(imageLatents(latents, 0).data.length, size);
  const artifact = await run.store.put({
    kind: "latents",
    tensors: { latents },
    metadata: encoded[0]!.metadata,
  });
  const decode = { ...graph.nodes["decode"]!, inputs: { latents: { artifact } } };
  const decoded = await runGraph({ pixstage: 1, nodes: { decode } }, run);
  values.hold(
    "image_float",
    (decoded.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">).data,
  );
}

/** Concatenates arrays. */
function joined(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}
