// This module is browser compatible.

/**
 * Predictions that run all blocks only if the first block's residual has changed by more than a threshold
 * since the last full call. Otherwise the cached residual of the remaining blocks is added again. When
 * weights stream, those of skipped blocks are not read.
 *
 * The rule is that of diffusers' `FirstBlockCacheConfig` (hooks/first_block_cache.py), except that either all
 * guidance branches run or none. Guidance amplifies the difference of two branches, and with it the error if
 * only one of them is cached.
 *
 * @module
 */

import { fromFloat32, toFloat32 } from "../../artifacts/half_precision.ts";
import { releaseBuffer, type Tensor, tensor } from "../../artifacts/tensor.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { BlockResiduals, BranchCache } from "../architecture.ts";
import { type CallOptions, type OpenModelOptions, type Segment, SegmentedModel } from "../segments.ts";
import { FIRST_RESIDUAL, hiddenName } from "./transformer_options.ts";

/** Size of residuals from which it pays off to return their memory at once, which takes about 20 ms. */
const LARGE_BYTES = 16e6;

type Values = Readonly<Record<string, Tensor>>;

/** The parts of the network. */
interface Parts {
  readonly first: SegmentedModel;
  readonly rest: SegmentedModel;
  readonly last: SegmentedModel;
}

/** A prediction in three parts: the first block, the remaining blocks, and the final layers. */
export class CachedStep implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #parts: Parts;
  readonly #blocks: number;
  readonly #threshold: number;

  private constructor(runtime: Runtime, parts: Parts, blocks: number, threshold: number) {
    this.#runtime = runtime;
    this.#parts = parts;
    this.#blocks = blocks;
    this.#threshold = threshold;
  }

  /**
   * Opens the parts.
   *
   * @param runtime Opens the graphs.
   * @param graphs The segments, built with `cachesSteps`.
   * @param cache Number of blocks, and the threshold.
   * @param options Residency of the weights.
   */
  static async open(
    runtime: Runtime,
    graphs: readonly Segment[],
    cache: { readonly blocks: number; readonly threshold: number },
    options: OpenModelOptions,
  ): Promise<CachedStep> {
    const opened: SegmentedModel[] = [];
    try {
      for (const part of [graphs.slice(0, 1), graphs.slice(1, -1), graphs.slice(-1)]) {
        opened.push(await SegmentedModel.open(runtime, part, options));
      }
    } catch (error) {
      for (const part of opened) await part.release();
      throw error;
    }
    const [first, rest, last] = opened as [SegmentedModel, SegmentedModel, SegmentedModel];
    return new CachedStep(runtime, { first, rest, last }, cache.blocks, cache.threshold);
  }

  /**
   * Computes several predictions.
   *
   * @param feeds The inputs of each prediction.
   * @param options Abort signal.
   * @param caches State of each guidance branch; updated if all blocks run.
   * @returns The outputs of each prediction.
   */
  async runEach(
    feeds: readonly Values[],
    options: CallOptions,
    caches: readonly (BranchCache | undefined)[],
  ): Promise<Record<string, Tensor>[]> {
    const { first, rest, last } = this.#parts;
    const begun = (await first.runEach(feeds, options)).map((made, index) => ({ ...feeds[index], ...made }));
    const residuals = begun.map((made) => toFloat32(made[FIRST_RESIDUAL]!).data);
    const starts = begun.map((made) => made[hiddenName(1)]!);
    const ended = hiddenName(this.#blocks);
    let ends: Tensor[];
    if (residuals.every((residual, index) => this.#isNear(residual, caches[index]?.residuals))) {
      ends = starts.map((start, index) => added(start, caches[index]!.residuals!.rest));
    } else {
      await this.#drop(caches);
      ends = (await rest.runEach(begun, options)).map((made) => made[ended]!);
      caches.forEach((cache, index) => {
        if (!cache) return;
        cache.residuals = { first: residuals[index]!, rest: difference(ends[index]!, starts[index]!) };
      });
    }
    const outputs = await last.runEach(
      begun.map((made, index) => ({ ...made, [ended]: ends[index]! })),
      options,
    );
    // Without this, rows of several steps would wait for the garbage collector.
    for (const { data } of [...starts, ...ends]) releaseBuffer(data.buffer);
    return outputs;
  }

  #isNear(residual: Float32Array, before: BlockResiduals | undefined): boolean {
    return before !== undefined && relativeChange(residual, before.first) <= this.#threshold;
  }

  /** Drops residuals that will be replaced. Large ones make room at once, unless a snapshot still holds them. */
  async #drop(caches: readonly (BranchCache | undefined)[]): Promise<void> {
    let bytes = 0;
    for (const cache of caches) {
      if (!cache?.residuals) continue;
      bytes += cache.residuals.first.byteLength + cache.residuals.rest.byteLength;
      cache.residuals = undefined;
    }
    if (bytes >= LARGE_BYTES) await this.#runtime.giveBackMemory?.();
  }

  /** Releases the sessions and their memory. Calling it again has no effect. */
  async release(): Promise<void> {
    for (const part of Object.values(this.#parts)) await part.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/**
 * Returns the mean absolute change divided by the mean absolute previous value; infinite if the sizes differ.
 */
export function relativeChange(now: Float32Array, before: Float32Array): number {
  if (now.length !== before.length) return Infinity;
  let change = 0;
  let size = 0;
  for (let index = 0; index < now.length; index++) {
    change += Math.abs(now[index]! - before[index]!);
    size += Math.abs(before[index]!);
  }
  return change === 0 ? 0 : change / size;
}

function difference(end: Tensor, start: Tensor): Float32Array {
  const [a, b] = [toFloat32(end).data, toFloat32(start).data];
  return a.map((value, index) => value - b[index]!);
}

/** Adds a residual to rows, keeping their type. */
function added(rows: Tensor, residual: Float32Array): Tensor {
  const sums = toFloat32(rows).data.map((value, index) => value + residual[index]!);
  return rows.dtype === "float16"
    ? tensor("float16", rows.shape, fromFloat32(sums, "float16"))
    : tensor("float32", rows.shape, sums);
}
