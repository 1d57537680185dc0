/**
 * Runs the reference's cases of encoding pictures, as graphs.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Artifact } from "../../../artifacts/artifact.ts";
import { drawLatents } from "../../../artifacts/latents.ts";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import { runGraph } from "../../../graph/run.ts";
import { localRun } from "../../../local.ts";
import { goldenPath, hasGolden } from "../../goldens.ts";
import { batchNoise, CaseValues, inputPicture, type PictureCase, pictureCases } from "./picture_goldens.ts";

/** A case of encoding. */
export interface EncoderCase extends PictureCase {
  readonly vae: string;
  readonly variant: string | null;
  readonly pictures: readonly string[];
  readonly height: number | null;
  readonly width: number | null;
  readonly facts: { readonly height: number; readonly width: number; readonly scaling_factor: number };
}

/** All cases. */
export const encoderCases: readonly EncoderCase[] = pictureCases<EncoderCase>("vae-encoder");
/** The cases whose autoencoder is available. */
export const encoderCasesAtHand: readonly EncoderCase[] = encoderCases.filter(({ vae }) =>
  hasGolden(folderOf(vae))
);
const local = localRun();

/** Returns the folder of an autoencoder among the goldens. */
function folderOf(vae: string): string {
  return vae.startsWith("vae-") ? `extras/vae-encoder/vaes/${vae}` : `checkpoints/${vae}`;
}

/** Runs encode-image for each picture separately, because an artifact only contains pictures of one size. */
export async function encodePictures(
  golden: EncoderCase,
  parameters: Readonly<Record<string, unknown>>,
): Promise<{ latents: Float32Array; deviation: Float32Array | undefined; shape: readonly number[] }> {
  const made: Artifact[] = [];
  for (const [index, name] of golden.pictures.entries()) {
    const { id, store } = await kept(await inputPicture(name));
    const node = {
      stage: "encode-image",
      parameters: {
        model: goldenPath(folderOf(golden.vae)),
        ...(golden.variant === null ? {} : { variant: golden.variant }),
        sizing: "picture",
        height: golden.height ?? golden.facts.height,
        width: golden.width ?? golden.facts.width,
        seeds: [[golden.seed].flat()[index] ?? 0],
        ...parameters,
      },
      inputs: { image: { artifact: id } },
    };
    const result = await runGraph({ pixstage: 1, nodes: { encode: node } }, { ...local, store });
    made.push(result.get("encode.latents")!.artifact);
  }
  const all = (name: string): Float32Array =>
    Float32Array.from(made.flatMap(({ tensors }) => [...(tensors[name] as Tensor<"float32">).data]));
  return {
    latents: all("latents"),
    deviation: made[0]!.tensors["deviation"] ? all("deviation") : undefined,
    shape: [made.length, ...made[0]!.tensors["latents"]!.shape.slice(1)],
  };
}

async function kept(artifact: Artifact): Promise<{ id: string; store: MemoryStore }> {
  const store = new MemoryStore();
  return { id: await store.put(artifact), store };
}

/** Returns one half of each row's channels. */
function half(moments: Tensor<"float32">, which: 0 | 1): Float32Array {
  const [rows = 0] = moments.shape;
  const length = moments.data.length / rows;
  return Float32Array.from(
    Array.from({ length: rows }, (_, row) => {
      const start = row * length + which * length / 2;
      return [...moments.data.subarray(start, start + length / 2)];
    }).flat(),
  );
}

export async function decodePictures(
  golden: EncoderCase,
  shape: readonly number[],
  latents: Float32Array,
): Promise<Float32Array> {
  const data = Float32Array.from(latents);
  const { id, store } = await kept({
    kind: "latents",
    tensors: { latents: tensor("float32", shape, data) },
    metadata: {},
  });
  const decode = {
    stage: "decode",
    parameters: {
      model: goldenPath(folderOf(golden.vae)),
      ...(golden.variant === null ? {} : { variant: golden.variant }),
    },
    inputs: { latents: { artifact: id } },
  };
  const made = await runGraph({ pixstage: 1, nodes: { decode } }, { ...local, store });
  return (made.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">).data;
}

/** Compares the result of encode-image for a case, and the pictures decoded from it, with the reference. */
export async function matchEncoding(
  golden: EncoderCase,
  { tiling, decodes }: { readonly tiling: "none" | "seamless"; readonly decodes: boolean },
): Promise<void> {
  const values = new CaseValues("vae-encoder", golden);
  if (values.has("latents")) {
    const { latents, shape, deviation } = await encodePictures(golden, {});
    assert.equal(deviation, undefined);
    values.hold("latents", latents);
    if (decodes) values.hold("decoded", await decodePictures(golden, shape, latents));
    return;
  }
  const { latents, deviation, shape } = await encodePictures(golden, { tiling });
  const scale = Math.fround(golden.facts.scaling_factor);
  // Clamped logarithms cannot be recovered from deviations. Case 20 therefore stores all moments.
  const logVariances = golden.tensors["moments"]!.sample
    ? deviation!.map((value) => 2 * Math.log(value / scale))
    : half(values.floats("moments"), 1);
  values.hold("moments", interleaved(latents.map((value) => value / scale), logVariances, shape[0]!));
  values.hold("std", deviation!.map((value) => value / scale));
  values.hold("scaled_mode", latents);
  const noise = batchNoise(golden.seed, latents.length);
  values.hold("noise", noise);
  const sample = drawLatents(latents, deviation!, noise);
  values.hold("sample", sample.map((value) => value / scale));
  values.hold("scaled_sample", sample);
  if (!decodes) return;
  values.hold("decoded_mode", await decodePictures(golden, shape, latents));
  values.hold("decoded_sample", await decodePictures(golden, shape, sample));
}

/**
 * Interleaves means with the reference's logarithms row by row. `deviation` is compared separately, as `std`.
 */
function interleaved(means: Float32Array, logVariances: Float32Array, rows: number): Float32Array {
  const length = means.length / rows;
  return Float32Array.from(
    Array.from({ length: rows }, (_, row) => [
      ...means.subarray(row * length, (row + 1) * length),
      ...logVariances.subarray(row * length, (row + 1) * length),
    ]).flat(),
  );
}
