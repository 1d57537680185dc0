// This module is browser compatible.

/**
 * Runs the decoder of an autoencoder.
 *
 * @module
 */

import type { Tensor } from "../../artifacts/tensor.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { type AutoencoderConfig, spatialFactor } from "./autoencoder_config.ts";
import { autoencoderKLDecoderSegments, type AutoencoderOptions } from "./autoencoder_kl.ts";
import { autoencoderTinyDecoderGraph } from "./autoencoder_tiny.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { type CallOptions, type OpenModelOptions, SegmentedModel } from "../segments.ts";

/**
 * The open decoder of either autoencoder.
 *
 * @example Latents to a picture
 * ```ts
 * import { AutoencoderConfig } from "./autoencoder_config.ts";
 * import { openComponent } from "../checkpoint/component.ts";
 * import { openDiskSource } from "../checkpoint/disk_source.ts";
 * import { VaeDecoder } from "./decoder_runner.ts";
 * import { tensor } from "../../artifacts/tensor.ts";
 * import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
 *
 * const component = await openComponent(await openDiskSource("models/pixstage-emoji/vae"));
 * const config = AutoencoderConfig.parse(component.config);
 * await using decoder = await VaeDecoder.open(new OnnxRuntimeNode(), config, await component.weights());
 * const latents = tensor("float32", [1, 4, 8, 8], new Float32Array(4 * 8 * 8));
 * const { shape } = await decoder.decode(latents);
 * console.assert(shape.join() === "1,3,64,64");
 * ```
 */
export class VaeDecoder implements AsyncDisposable {
  /** The autoencoder's configuration. */
  readonly config: AutoencoderConfig;
  /** Number of pixels along each side of one latent. */
  readonly spatialFactor: number;
  readonly #segments: SegmentedModel;

  /** Creates a decoder from open or streaming segments. */
  constructor(config: AutoencoderConfig, segments: SegmentedModel) {
    this.config = config;
    this.spatialFactor = spatialFactor(config);
    this.#segments = segments;
  }

  /**
   * Opens a decoder.
   *
   * @param runtime Opens the graphs.
   * @param config The autoencoder's configuration.
   * @param weights Its weights, in any floating-point type.
   * @param options Residency of the weights, compute type of AutoencoderKL (float32 by default), and number
   *   of parts into which the queries of its attention are split.
   * @returns The decoder.
   * @throws {MissingWeightError} if a weight is missing.
   * @throws {OnnxRuntimeError} if a segment cannot be opened.
   */
  static async open(
    runtime: Runtime,
    config: AutoencoderConfig,
    weights: Weights,
    options: OpenModelOptions & Pick<AutoencoderOptions, "computeType" | "queryParts"> = {},
  ): Promise<VaeDecoder> {
    const layersPerSegment = options.layersPerSegment ?? (options.residency === "stream" ? 1 : undefined);
    const { computeType, queryParts } = options;
    const graphs = config._class_name === "AutoencoderKL"
      ? autoencoderKLDecoderSegments(config, weights, { layersPerSegment, computeType, queryParts })
      : [autoencoderTinyDecoderGraph(config, weights)];
    const segments = await SegmentedModel.open(runtime, graphs, { memoryPool: false, ...options });
    return new VaeDecoder(config, segments);
  }

  /**
   * Decodes latents.
   *
   * @param latents [1, latent channels, h, w], divided by the scaling factor.
   * @param options Abort signal.
   * @returns [1, 3, H, W], about -1 to 1, not clamped.
   * @throws {InputError} if the shape is wrong.
   */
  async decode(latents: Tensor<"float32">, options: CallOptions = {}): Promise<Tensor<"float32">> {
    const { sample } = await this.#segments.run({ latents }, options);
    return sample as Tensor<"float32">;
  }

  /** Releases the sessions and their memory. Calling it again has no effect. */
  release(): Promise<void> {
    return this.#segments.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}
