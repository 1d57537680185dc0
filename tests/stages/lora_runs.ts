/**
 * Runs of the reference with LoRAs, step by step.
 *
 * @module
 */

import assert from "node:assert/strict";
import { unpackEmbeddings } from "../../artifacts/embeddings.ts";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import { planGraph } from "../../graph/plan.ts";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { localRun } from "../../local.ts";
import { checkComponent } from "../../models/check_component.ts";
import { createGenerator } from "../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { denoiseImage, type DenoiseStep } from "../../stages/denoise/loop.ts";
import { openLoras } from "../../stages/denoise/loras.ts";
import { denoiseParameters, openDenoiser, resolveDenoise } from "../../stages/denoise/settings.ts";
import { holdLora, type LoraCase, loraRequest, loraTensors } from "./lora_cases.ts";

/** All runs of a checkpoint share their texts, so each text is encoded once. */
const local = localRun({ store: new MemoryStore() });

/** Number of compared values of each kind. */
export interface Compared {
  runs: number;
  calls: number;
  steps: number;
  images: number;
}

/** Compares every step of runs, and their pictures, with the reference. */
export async function holdRuns(runs: readonly LoraCase[]): Promise<Compared> {
  const compared = { runs: 0, calls: 0, steps: 0, images: 0 };
  for (const run of runs) {
    const tensors = loraTensors(run);
    const taken = await denoiseCase(run);
    const entry = (name: string, index: number): ArrayLike<number> => {
      const { data, shape } = tensors[name] as Tensor<"float32">;
      const size = data.length / shape[0]!;
      return data.subarray(index * size, (index + 1) * size);
    };
    const calls = run.tensors["noise_pred"]?.calls ?? taken.map((_step, index) => index);
    for (const [index, call] of calls.entries()) {
      holdLora(run, "noise_pred", taken[call]!.prediction, entry("noise_pred", index));
      compared.calls++;
    }
    for (const [index, { sample }] of taken.entries()) {
      holdLora(run, "latents", sample, entry("latents", index));
      compared.steps++;
    }
    const latents = taken.at(-1)!.sample;
    holdLora(run, "final_latents", latents, entry("latents", taken.length - 1));
    const image = tensors["image_float"] as Tensor<"float32"> | undefined;
    if (image) {
      holdLora(run, "image_float", await decode(run, latents), image.data);
      compared.images++;
    }
    compared.runs++;
  }
  return compared;
}

/** Denoises a run, and returns its steps. */
async function denoiseCase(run: LoraCase): Promise<DenoiseStep[]> {
  const graph = textToImage(loraRequest(run), { pair: true });
  const made = await runGraph(graph, { ...local, until: "pair" });
  const { prompts, negatives } = unpackEmbeddings(made.get("pair.embeddings")!.artifact);
  const node = planGraph(graph, local.registry).nodes.find(({ id }) => id === "denoise")!;
  const parameters = denoiseParameters.loose().parse(node.parameters);
  const denoiser = await openDenoiser(parameters, local.models);
  const settings = await resolveDenoise(parameters, denoiser);
  const { model } = denoiser;
  const signal = new AbortController().signal;
  const weights = await checkComponent("transformer", model.component);
  const loras = await openLoras(parameters.loras ?? [], local.models, weights, signal);
  await using transformer = await model.open(new OnnxRuntimeNode(), await loras.adapt(weights), {
    precision: "float32",
    bothBranches: settings.bothBranches,
    renderSize: settings.renderSize,
  });
  const branches = settings.guided ? [negatives![0]!, prompts[0]!] : [prompts[0]!];
  const shape = model.latentShape(settings.renderSize);
  const generator = createGenerator("torch-cpu", BigInt(run.seed));
  const taken: DenoiseStep[] = [];
  await denoiseImage({
    model,
    denoiser: transformer,
    settings,
    texts: await Promise.all(branches.map((branch) => transformer.prepareText(branch))),
    generator,
    noise: generator.randn(shape.reduce((product, size) => product * size, 1)),
    shape,
    signal,
    onStep: (step) => taken.push(step),
  });
  assert.equal(taken.length, Number(run.call["num_inference_steps"]));
  return taken;
}

async function decode({ call, ...run }: LoraCase, latents: Float32Array): Promise<Float32Array> {
  const shape = [1, 4, Number(call["height"]) / 8, Number(call["width"]) / 8];
  const artifact = { kind: "latents", tensors: { latents: tensor("float32", shape, latents) }, metadata: {} };
  const { model } = loraRequest({ call, ...run });
  const made = await runGraph(textToImage({ model }, { latentsFile: "latents" }), {
    ...local,
    readFile: () => Promise.resolve({ artifact }),
  });
  return (made.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">).data;
}
