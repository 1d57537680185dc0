/**
 * The cases of `goldens/extras/`: runs with additional inputs, compared with the reference after every step.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Artifact } from "../../artifacts/artifact.ts";
import { outlineOf } from "../../artifacts/outline.ts";
import { decodeSafetensors } from "../../artifacts/safetensors.ts";
import type { Tensor } from "../../artifacts/tensor.ts";
import type { PictureRequestInput } from "../../graph/picture_request.ts";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { resizeAndCrop } from "../../images/resize_and_crop.ts";
import { localRun } from "../../local.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { denoiseStage } from "../../stages/denoise/stage.ts";
import { goldenJson, goldenPath } from "../goldens.ts";
import { caseRequest, type GoldenCase } from "./golden_cases.ts";

/** A case of `goldens/extras/`. */
export interface ExtraCase extends GoldenCase {
  /** The part of the steps that use guidance. */
  readonly guidance_interval?: [number, number];
  /** Perturbed attention guidance. */
  readonly pag?: {
    readonly applied_layers: string | readonly string[];
    readonly scale: number;
    readonly adaptive_scale: number;
  };
}

interface Limits {
  readonly max_abs: number;
  readonly rel_l2?: number;
}

const local = localRun({ threads: 1 });

/** Tensors whose relative deviation is limited for each row. */
const BY_ROW: readonly string[] = ["noise_pred", "latents"];

/** The cases of a folder, with their limits. */
export class ExtraGoldens<C extends ExtraCase = ExtraCase> {
  /** All cases. */
  readonly cases: readonly C[];
  readonly #folder: string;
  readonly #limits: ReadonlyMap<string, Readonly<Record<string, Limits>>>;

  /** @param folder The folder's name below `extras/`. */
  constructor(folder: string) {
    this.#folder = `extras/${folder}`;
    this.cases = goldenJson<{ cases: C[] }>(`${this.#folder}/manifest.json`).cases;
    const { cases } = goldenJson<{ cases: { id: string; tolerance: Record<string, Limits> }[] }>(
      `${this.#folder}/tolerances.json`,
    );
    this.#limits = new Map(cases.map(({ id, tolerance }) => [id, tolerance]));
  }

  /** The stored tensors of a case. */
  tensors({ file }: C): Readonly<Record<string, Tensor>> {
    return decodeSafetensors(Deno.readFileSync(goldenPath(`${this.#folder}/${file}`)), file).tensors;
  }

  /**
   * Asserts that values are those of a case's tensor, within its limits.
   *
   * @param golden The case.
   * @param name The tensor.
   * @param actual All values, even if the file only contains a sample of them.
   */
  hold(golden: C, name: string, actual: ArrayLike<number>): void {
    const expected = this.tensors(golden)[name];
    const limit = this.#limits.get(golden.id)?.[name];
    assert.ok(expected && limit, `${golden.id} has no ${name}`);
    const { shape = [], sample: { start, stride } = { start: 0, stride: 1 } } = golden.tensors[name] ?? {};
    assert.equal(Math.ceil((actual.length - start) / stride), expected.data.length, `values of ${name}`);
    const rows = BY_ROW.includes(name) ? shape[0]! * shape[1]! : 1;
    const size = expected.data.length / rows;
    for (let row = 0; row < rows; row++) {
      let [largest, squares, reference] = [0, 0, 0];
      for (let i = row * size; i < (row + 1) * size; i++) {
        const wanted = Number(expected.data[i]);
        const difference = Math.abs(actual[start + i * stride]! - wanted);
        largest = Math.max(largest, difference);
        squares += difference ** 2;
        reference += wanted ** 2;
      }
      assert.ok(largest <= limit.max_abs, `${name} deviates by ${largest}, allowed is ${limit.max_abs}`);
      const relative = Math.sqrt(squares / reference);
      assert.ok(relative <= (limit.rel_l2 ?? Infinity), `${name} deviates by ${relative} relative`);
    }
  }

  /**
   * Runs a case, and compares its latents after every step and its picture with the reference.
   *
   * @param golden The case.
   * @param options Parameters that are not part of its call, and further inputs of `denoise`.
   */
  async match(
    golden: C,
    { request: more = {}, inputs: beside = {} }: {
      readonly request?: Partial<PictureRequestInput>;
      readonly inputs?: Readonly<Record<string, Artifact>>;
    } = {},
  ): Promise<void> {
    const stored = this.tensors(golden);
    const { batch } = golden.facts;
    const isDrawnAtOnce = batch > 1 && !Array.isArray(golden.seed);
    const request = { ...caseRequest(golden), ...more, ...(isDrawnAtOnce ? { seeds: [0] } : {}) };

    // 1. Encode, and denoise with the reference's noise if one generator drew it for all images.
    const { nodes } = textToImage(request, beside["control"] ? { controlImage: { file: "control" } } : {});
    const { prompt, negative } = nodes;
    const encoded = await runGraph({ pixstage: 1, nodes: { prompt: prompt!, negative: negative! } }, local);
    const noise = stored["initial_noise"]!;
    const inputs: Record<string, Artifact> = {
      embeddings: encoded.get("prompt.embeddings")!.artifact,
      negative: encoded.get("negative.embeddings")!.artifact,
      ...(isDrawnAtOnce ? { noise: { kind: "latents", tensors: { latents: noise }, metadata: {} } } : {}),
      ...beside,
    };
    const { samples, latents } = await denoised(nodes["denoise"]!.parameters, inputs, batch);
    assert.equal(samples.length / batch, stored["timesteps"]!.data.length);
    const calls = samples.length / batch;
    const byCall = Array.from(
      { length: calls },
      (_, call) => Array.from({ length: batch }, (_, image) => samples[image * calls + call]!),
    ).flat();
    this.hold(golden, "latents", Float32Array.from(byCall.flatMap((sample) => [...sample])));

    // 2. Decode.
    const decoded = await runGraph(
      textToImage({ model: request.model }, { latentsFile: "latents" }),
      { ...local, readFile: () => Promise.resolve({ artifact: latents }) },
    );
    const image = decoded.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">;
    const [, , height, width] = golden.tensors["image_float"]!.shape;
    this.hold(golden, "image_float", resizeAndCrop(image, height!, width!).data);
  }
}

/** Runs the denoise stage, and collects each image's sample after each step, one image after the other. */
async function denoised(
  given: Readonly<Record<string, unknown>> | undefined,
  inputs: Readonly<Record<string, Artifact>>,
  images: number,
): Promise<{ readonly samples: readonly Float32Array[]; readonly latents: Artifact }> {
  const runtime = new OnnxRuntimeNode({ threads: 1 });
  const { signal } = new AbortController();
  const prepared = await denoiseStage.prepare({
    parameters: denoiseStage.parameters.parse(given),
    inputs: Object.fromEntries(Object.entries(inputs).map(([port, input]) => [port, outlineOf(input)])),
    models: local.models,
    device: runtime,
    signal,
  });
  const samples: Float32Array[] = [];
  let image = 0;
  const outputs = await prepared.run({
    inputs,
    runtime,
    signal,
    report: (event) => {
      if (event.type === "step") image = event.image;
    },
    snapshots: {
      offer: (make) => {
        const { tensors } = make();
        samples.push(tensors[`image.${image}.sample`]!.data as Float32Array);
        return Promise.resolve();
      },
    },
  });
  assert.equal(samples.length % images, 0);
  return { samples, latents: outputs["latents"]! };
}
