// This module is browser compatible.

/**
 * Runs a T5 encoder.
 *
 * @module
 */

import { InputError } from "../../errors/pixstage_error.ts";
import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { type CallOptions, type OpenModelOptions, SegmentedModel } from "../segments.ts";
import { t5EncoderSegments } from "./encoder.ts";
import type { T5EncoderConfig } from "./encoder_config.ts";
import { positionBuckets } from "./position_buckets.ts";

/**
 * An open T5 encoder.
 *
 * @example Encode one text with one layer's weights in memory at a time
 * ```ts
 * import { openComponent } from "../checkpoint/component.ts";
 * import { openDiskSource } from "../checkpoint/disk_source.ts";
 * import { T5EncoderConfig } from "./encoder_config.ts";
 * import { T5Encoder } from "./encoder_runner.ts";
 * import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
 *
 * const source = await openDiskSource("models/pixstage-emoji");
 * const component = await openComponent(source, { component: "text_encoder" });
 * const config = T5EncoderConfig.parse(component.config);
 * await using encoder = await T5Encoder.open(new OnnxRuntimeNode(), config, await component.weights(), {
 *   residency: "stream",
 * });
 * const { shape } = await encoder.encode([71, 1712, 1]);
 * console.assert(shape.join() === "3,256");
 * ```
 */
export class T5Encoder implements AsyncDisposable {
  /** The encoder's configuration. */
  readonly config: T5EncoderConfig;
  readonly #segments: SegmentedModel;

  /** Creates an encoder from open or streaming segments. */
  constructor(config: T5EncoderConfig, segments: SegmentedModel) {
    this.config = config;
    this.#segments = segments;
  }

  /**
   * Opens an encoder.
   *
   * @param runtime Opens the graphs.
   * @param config The encoder's configuration.
   * @param weights Its weights, in any floating-point type. Computation is in float32.
   * @param options Residency of the weights, and a progress callback.
   * @returns The encoder.
   * @throws {MissingWeightError} if a weight is missing.
   * @throws {OnnxRuntimeError} if a segment cannot be opened.
   */
  static async open(
    runtime: Runtime,
    config: T5EncoderConfig,
    weights: Weights,
    options: OpenModelOptions = {},
  ): Promise<T5Encoder> {
    const layersPerSegment = options.layersPerSegment ?? (options.residency === "stream" ? 1 : undefined);
    const graphs = t5EncoderSegments(config, weights, { layersPerSegment });
    return new T5Encoder(config, await SegmentedModel.open(runtime, graphs, options));
  }

  /**
   * Encodes one text.
   *
   * @param ids Its token ids, including the end token but no padding.
   * @param options Abort signal.
   * @returns Embedding [tokens, d_model].
   * @throws {InputError} if there are no tokens, or if a token is not in the vocabulary.
   */
  async encode(ids: ArrayLike<number>, options: CallOptions = {}): Promise<Tensor<"float32">> {
    const [embedding] = await this.encodeEach([ids], options);
    return embedding!;
  }

  /**
   * Encodes several texts. If weights stream, each layer is read once for all of them.
   *
   * @param texts Token ids of each text, including the end token but no padding.
   * @param options Abort signal.
   * @returns One embedding [tokens, d_model] per text.
   * @throws {InputError} if a text has no tokens, or if a token is not in the vocabulary.
   */
  async encodeEach(
    texts: readonly ArrayLike<number>[],
    options: CallOptions = {},
  ): Promise<Tensor<"float32">[]> {
    const outputs = await this.#segments.runEach(texts.map((ids) => this.#feeds(ids)), options);
    return outputs.map(({ last_hidden_state }) => last_hidden_state as Tensor<"float32">);
  }

  /** Releases the sessions and their memory. Calling it again has no effect. */
  release(): Promise<void> {
    return this.#segments.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #feeds(ids: ArrayLike<number>): Record<string, Tensor> {
    const tokens = Array.from(ids);
    const { vocab_size, relative_attention_num_buckets, relative_attention_max_distance } = this.config;
    const wrong = tokens.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocab_size));
    if (tokens.length === 0 || wrong !== undefined) {
      throw new InputError(
        "out_of_range",
        `Cannot encode a text: token ids must be from 0 to ${vocab_size - 1}, ` +
          `current value is ${wrong ?? "none"}`,
      );
    }
    return {
      input_ids: tensor("int32", [tokens.length], Int32Array.from(tokens)),
      position_buckets: positionBuckets(tokens.length, {
        buckets: relative_attention_num_buckets,
        maxDistance: relative_attention_max_distance,
      }),
    };
  }
}
