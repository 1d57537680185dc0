/**
 * The reference values for pictures as inputs.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { decodeSafetensors } from "../../../artifacts/safetensors.ts";
import type { Tensor } from "../../../artifacts/tensor.ts";
import { readPictureArtifact } from "../../../images/picture_artifact.ts";
import type { Artifact } from "../../../artifacts/artifact.ts";
import { TorchGenerator } from "../../../random/torch_generator.ts";
import { goldenJson, goldenPath } from "../../goldens.ts";

/** Returns the location of a part of the reference values. */
export type PictureGoldens = "vae-encoder" | "img2img" | "inpaint" | "schedulers";

/** Allowed deviation of timesteps that are not integers. */
const FRACTIONAL_TIMESTEP_LIMIT = 0.01;

/** The manifest's entry of a tensor. */
interface TensorEntry {
  readonly shape: readonly number[];
  /** The stored model calls, if not all are stored. */
  readonly calls?: readonly number[];
  readonly sample?: { readonly start: number; readonly stride: number };
}

/** The fields that every case has. */
export interface PictureCase {
  readonly id: string;
  readonly seed: number | readonly number[];
  readonly file: string;
  readonly tensors: Readonly<Record<string, TensorEntry>>;
  readonly sha256?: Readonly<Record<string, string>>;
}

interface Limits {
  readonly max_abs: number;
  readonly rel_l2?: number;
}

/** The cases of a part of the reference. */
export function pictureCases<C extends PictureCase>(part: PictureGoldens): readonly C[] {
  return goldenJson<{ cases: C[] }>(`extras/${part}/manifest.json`).cases;
}

/** Reads an input picture in the form in which a graph reads it. */
export async function inputPicture(name: string): Promise<Artifact> {
  return await readPictureArtifact(Deno.readFileSync(inputPath(name)));
}

/** Returns the path of an input picture. */
export function inputPath(name: string): string {
  return goldenPath(`extras/inputs/${name}.png`);
}

/** The values of one case, and their limits. */
export class CaseValues {
  readonly #case: PictureCase;
  readonly #limits: Readonly<Record<string, Limits>>;
  /** The stored tensors. */
  readonly tensors: Readonly<Record<string, Tensor>>;

  constructor(part: PictureGoldens, picture: PictureCase) {
    this.#case = picture;
    const bytes = Deno.readFileSync(goldenPath(`extras/${part}/${picture.file}`));
    this.tensors = decodeSafetensors(bytes, picture.file).tensors;
    const { cases } = goldenJson<{ cases: { id: string; tolerance: Record<string, Limits> }[] }>(
      `extras/${part}/tolerances.json`,
    );
    this.#limits = cases.find(({ id }) => id === picture.id)!.tolerance;
  }

  /** Returns whether the case has that tensor. */
  has(name: string): boolean {
    return name in this.tensors;
  }

  /** Returns a float32 tensor that is stored in full. */
  floats(name: string): Tensor<"float32"> {
    const found = this.tensors[name];
    assert(found?.dtype === "float32" && !this.#case.tensors[name]?.sample, `${this.#case.id}: ${name}`);
    return found;
  }

  /**
   * Asserts that values are within the limits of a stored tensor.
   *
   * @param name The tensor. Nothing is compared if the case does not have it.
   * @param actual All values.
   * @param scale Factor to apply to the stored values and their limits first.
   */
  hold(name: string, actual: ArrayLike<number>, scale = 1): void {
    const golden = this.tensors[name];
    if (!golden) return;
    this.#hold(name, golden.data, actual, scale);
  }

  /** Asserts that values are within the limits of the last ones of a stored tensor. */
  holdEnd(name: string, actual: ArrayLike<number>): void {
    const golden = this.floats(name).data;
    this.#hold(name, golden.subarray(golden.length - actual.length), actual);
  }

  #hold(
    name: string,
    golden: ArrayLike<number | bigint>,
    actual: ArrayLike<number>,
    scale = 1,
  ): void {
    const limits = this.#limits[name];
    const { start, stride } = this.#case.tensors[name]?.sample ?? { start: 0, stride: 1 };
    const label = `${this.#case.id}: ${name}`;
    assert.equal(
      Math.ceil((actual.length - start) / stride),
      golden.length,
      `${label}: number of values`,
    );
    let [largest, error, norm] = [0, 0, 0];
    for (let i = 0; i < golden.length; i++) {
      const wanted = Number(golden[i]) * scale;
      const difference = Math.abs(actual[start + i * stride]! - wanted);
      largest = difference <= largest ? largest : difference;
      error += difference ** 2;
      norm += wanted ** 2;
    }
    const isFractional = name === "timesteps_used" &&
      Array.from(golden).some((value) => Number(value) % 1 !== 0);
    const allowed = (limits?.max_abs ?? (isFractional ? FRACTIONAL_TIMESTEP_LIMIT : 0)) * scale;
    assert(largest <= allowed, `${label} is off by ${largest}, allowed are ${allowed}`);
    const relative = Math.sqrt(error / (norm || 1));
    if (Deno.env.has("SHOW_DEVIATIONS")) {
      const share = Math.max(largest / (allowed || 1), relative / (limits?.rel_l2 ?? Infinity));
      Deno.stderr.writeSync(new TextEncoder().encode(`${label} ${share.toFixed(3)}\n`));
    }
    assert(
      relative <= (limits?.rel_l2 ?? Infinity),
      `${label} is off by ${relative} in L2, allowed ${limits?.rel_l2}`,
    );
  }
}

/** SHA-256 of bytes, in hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Returns the noise of a batch, drawn from one generator, or in equal parts from each generator of a list.
 */
export function batchNoise(seed: number | readonly number[], count: number): Float32Array {
  const seeds = [seed].flat();
  return Float32Array.from(
    seeds.flatMap((seed) => [...new TorchGenerator(seed).randn(count / seeds.length)]),
  );
}
