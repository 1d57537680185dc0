// This module is browser compatible.

/**
 * The interface of an architecture: everything that is specific to one family of networks. Stages, the
 * planner, the command line and the server ask an architecture instead of naming a network.
 *
 * Each of its three parts (text encoder, denoiser, decoder) has two forms. The *model* has read its
 * configuration but no weights; it answers everything that a run must know in advance. The *open* form has
 * weights and computes.
 *
 * @module
 */

import type { JsonObject } from "../artifacts/artifact.ts";
import type { Tensor } from "../artifacts/tensor.ts";
import type { LatentColours } from "../images/latent_preview.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Checkpoint } from "./checkpoint/checkpoint.ts";
import type { Component } from "./checkpoint/component.ts";
import type { ComponentName } from "./checkpoint/model_index.ts";
import type { Weights } from "./checkpoint/weights.ts";
import type { MemoryChoice, MemoryRequest } from "./memory.ts";
import type { ComputeType } from "./onnx/graph_builder.ts";
import type { Precision } from "./precision.ts";
import type { MakeSyntheticPreset } from "./synthetic/preset.ts";
import type { CallOptions, OpenModelOptions, Residency } from "./segments.ts";

/** A size in pixels. */
export interface PictureSize {
  /** Number of rows. */
  readonly height: number;
  /** Number of columns. */
  readonly width: number;
}

/** A tokenized text. */
export interface TokenizedText {
  /** Ids of the real tokens, including the end token but no padding. */
  readonly ids: ArrayLike<number>;
  /** Warnings for the user, one sentence each: text that was truncated, or removed by cleaning. */
  readonly warnings: readonly string[];
}

/** Options for preparing texts. */
export interface TextOptions {
  /** Whether to clean captions like the training captions. */
  readonly cleanCaption: boolean;
  /**
   * Number of tokens to which embeddings are padded. Longer texts are truncated. Defaults to the
   * architecture's own length.
   */
  readonly maxSequenceLength?: number | undefined;
}

/** A text encoder whose configuration and tokenizer have been read. */
export interface TextEncoderModel {
  /** The component with the weights. */
  readonly component: Component;
  /**
   * SHA-256 of the other files that embeddings depend on, keyed by their folder in the checkpoint:
   * `tokenizer`.
   */
  readonly files: Readonly<Record<string, string>>;
  /** Number of tokens to which embeddings are padded. */
  readonly sequenceLength: number;
  /** Number of channels of an embedding. */
  readonly channels: number;
  /** Cleans a text and tokenizes it. */
  tokenize(text: string): TokenizedText;
  /** Returns all ways to encode texts with these token counts, best first. */
  memory(weights: Weights, tokens: readonly number[], request: MemoryRequest): MemoryChoice[];
  /** Opens the encoder with its weights. */
  open(runtime: Runtime, weights: Weights, options: OpenModelOptions): Promise<OpenTextEncoder>;
}

/** An open text encoder. */
export interface OpenTextEncoder extends AsyncDisposable {
  /**
   * Encodes texts. Streamed weights are read once for all of them.
   *
   * @param texts Token ids of each text.
   * @param options Abort signal.
   * @returns One tensor [tokens, channels] per text.
   */
  encodeEach(texts: readonly ArrayLike<number>[], options?: CallOptions): Promise<Tensor<"float32">[]>;
}

/**
 * An open denoiser's own representation of a text during a run. Only the denoiser that created it can read
 * it.
 */
export type PreparedText = object;

/**
 * The residuals that a network's blocks added in the last call that ran all of them: rows of values,
 * flattened.
 */
export interface BlockResiduals {
  /** Residual of the first block. */
  readonly first: Float32Array;
  /** Sum of the residuals of the remaining blocks. */
  readonly rest: Float32Array;
}

/** The state that one guidance branch carries from call to call. The denoiser updates it. */
export interface BranchCache {
  /** Residuals of the last full call; undefined before the first call. */
  residuals?: BlockResiduals | undefined;
}

/** The input of one prediction. */
export interface Prediction {
  /** Latents [1, channels, height, width], scaled by the scheduler. */
  readonly latents: Tensor<"float32">;
  /** The timestep, possibly fractional. */
  readonly timestep: number;
  /** The text, prepared by the same denoiser. */
  readonly text: PreparedText;
  /** Size of the picture that the latents represent, if the network is conditioned on it. */
  readonly renderSize?: PictureSize | undefined;
  /**
   * Whether each token attends only to itself in the self-attentions that the denoiser was opened to perturb.
   */
  readonly perturbed?: boolean | undefined;
  /**
   * State of its guidance branch, if the denoiser was opened with a step cache. Nothing is cached if omitted.
   */
  readonly cache?: BranchCache | undefined;
  /** Input of the ControlNet that the denoiser was opened with. No control is applied if omitted. */
  readonly control?: {
    /** Latents of the control picture, with the shape of `latents`. */
    readonly latents: Tensor<"float32">;
    /** Factor by which the ControlNet's residuals are multiplied. */
    readonly scale: number;
  } | undefined;
}

/** The properties of a denoising run that determine its memory. */
export interface DenoiseJob {
  /** Size at which the picture is denoised. */
  readonly renderSize: PictureSize;
  /** Whether guidance has two branches. */
  readonly guided: boolean;
  /** Whether each call predicts exactly the two guidance branches, which allows predicting both at once. */
  readonly bothBranches: boolean;
  /** Whether the residuals of the blocks are cached between calls. */
  readonly cachesSteps: boolean;
  /** Number of tokens of the longest prompt. */
  readonly promptTokens: number;
  /** Number of tokens of the longest negative prompt. */
  readonly negativeTokens: number;
}

/** Options for opening a denoiser. */
export interface OpenDenoiserOptions extends OpenModelOptions {
  /** Precision of its matrices. */
  readonly precision: Precision;
  /** Whether each call predicts exactly the two guidance branches, which allows predicting both at once. */
  readonly bothBranches: boolean;
  /** Size at which pictures are denoised. */
  readonly renderSize: PictureSize;
  /** Names of the self-attentions that predictions can perturb; none by default. */
  readonly perturbable?: readonly string[] | undefined;
  /**
   * Threshold of the step cache: the largest relative change of the first block's residual, compared with the
   * last call that ran all blocks, at which the remaining blocks are skipped and their cached residual is
   * added instead. All blocks always run if omitted.
   */
  readonly stepCache?: number | undefined;
  /** The ControlNet with which predictions can follow a picture. */
  readonly controlNet?: { readonly component: Component; readonly weights: Weights } | undefined;
}

/** A ControlNet whose weights have been checked against a denoiser. */
export interface ControlNetModel {
  /**
   * Adds the ControlNet's memory to each way to denoise.
   *
   * @param choices The ways to denoise without a ControlNet.
   * @param job The denoising run.
   */
  memory(choices: readonly MemoryChoice[], job: DenoiseJob): MemoryChoice[];
}

/** A denoiser whose configuration has been read. */
export interface DenoiserModel {
  /** The component with the weights. */
  readonly component: Component;
  /** Number of pixels along each side of one latent. */
  readonly spatialFactor: number;
  /** Everything that latents depend on besides weights, text, schedule and size. */
  readonly identity: JsonObject;
  /** Names of its self-attentions in block order, if predictions can perturb them. */
  readonly selfAttentions?: readonly string[] | undefined;
  /** Whether the network supports a step cache. */
  readonly cachesSteps?: boolean | undefined;
  /** Preview colours of the latents, if known. */
  readonly latentColours?: LatentColours | undefined;
  /**
   * Resolves the size of a picture and the size at which it is denoised.
   *
   * @param wanted The requested size; a missing side defaults to the model's own.
   * @param binning Whether to denoise at the nearest size that the model was trained on.
   * @throws {RangeError} if the model cannot produce that size.
   */
  resolveSize(wanted: { readonly [K in keyof PictureSize]?: number | undefined }, binning: boolean): {
    readonly size: PictureSize;
    readonly renderSize: PictureSize;
  };
  /** Returns the shape of the latents of one picture, [1, channels, height, width]. */
  latentShape(renderSize: PictureSize): readonly number[];
  /**
   * Rejects embeddings of another text encoder.
   *
   * @param channels Number of channels of the embeddings.
   * @throws {ArtifactError} if this denoiser expects a different number.
   */
  checkEmbeddings(channels: number): void;
  /**
   * Returns whether a run of `calls` calls returns the scheduler's denoised sample instead of its next
   * sample.
   */
  returnsDenoised(calls: number): boolean;
  /**
   * Extracts the predicted noise of a sample of `length` values from an output of
   * {@linkcode OpenDenoiser.predictEach}.
   */
  readPrediction(output: Float32Array, length: number): Float32Array;
  /** Returns all ways to denoise, best first. */
  memory(weights: Weights, job: DenoiseJob, request: MemoryRequest): MemoryChoice[];
  /**
   * Checks a ControlNet against this denoiser. Absent if the architecture has no ControlNets.
   *
   * @throws {CheckpointError} if it does not fit the denoiser.
   */
  controlNet?(component: Component, weights: Weights): ControlNetModel;
  /** Opens the denoiser with its weights. */
  open(
    runtime: Runtime,
    weights: Weights,
    options: OpenDenoiserOptions,
  ): Promise<OpenDenoiser> | OpenDenoiser;
}

/** An open denoiser. */
export interface OpenDenoiser extends AsyncDisposable {
  /**
   * Computes, once per text, everything that depends only on the text.
   *
   * @param embedding [tokens, channels], real tokens only.
   * @param options Abort signal.
   */
  prepareText(embedding: Tensor<"float32">, options?: CallOptions): Promise<PreparedText>;
  /**
   * Computes several predictions, for example of both guidance branches. Streamed weights are read once for
   * all.
   *
   * @param inputs Latents, timestep, text and size of each prediction.
   * @param options Abort signal.
   * @returns The network's output for each prediction; see {@linkcode DenoiserModel.readPrediction}.
   */
  predictEach(inputs: readonly Prediction[], options?: CallOptions): Promise<Tensor<"float32">[]>;
}

/** Options for decoding pictures in parts. */
export interface TilingOptions {
  /**
   * `none`, `seamless` (with the statistics of the whole picture), `blended` (independent tiles), or `auto`
   * (by size).
   */
  readonly tiling: "auto" | "none" | "seamless" | "blended";
  /** Height and width of a blended tile in pixels. */
  readonly tileSize: number;
  /** Overlap of blended tiles in pixels. */
  readonly tileOverlap: number;
}

/** The properties of latents that determine the decoder's memory. */
export interface DecodeJob {
  /** Number of rows of the latents. */
  readonly latentHeight: number;
  /** Number of columns of the latents. */
  readonly latentWidth: number;
  /** Number of pictures. They are decoded in turn and all kept in memory until the last one. */
  readonly images: number;
  /** The size in pixels that decoded pictures are resized to, if it differs from the decoded one. */
  readonly resizedTo?: { readonly height: number; readonly width: number } | undefined;
}

/** Options for opening a decoder. */
export interface OpenDecoderOptions extends OpenModelOptions, TilingOptions {
  /** Compute type, as far as the range of the values allows; float32 by default. */
  readonly computeType?: ComputeType | undefined;
  /** Called when values overflow that type and the picture is decoded again in float32. */
  readonly onOverflow?: (() => void) | undefined;
  /**
   * Called with the error when memory runs out and the picture is decoded in strips instead of in one piece.
   */
  readonly onFallback?: ((error: Error) => void) | undefined;
}

/** A decoder whose configuration has been read. */
export interface DecoderModel {
  /** The component with the weights. */
  readonly component: Component;
  /** Number of channels of the latents. */
  readonly latentChannels: number;
  /** Number of pixels along each side of one latent. */
  readonly spatialFactor: number;
  /**
   * Rejects tilings that this decoder does not support.
   *
   * @throws {RangeError} if the tiling is not supported.
   */
  checkTiling(tiling: TilingOptions): void;
  /** Returns all ways to decode, best first. */
  memory(weights: Weights, job: DecodeJob, request: DecoderMemoryRequest): MemoryChoice[];
  /** Opens the decoder. It may defer reading weights until the first picture. */
  open(runtime: Runtime, weights: Weights, options: OpenDecoderOptions): Promise<OpenDecoder> | OpenDecoder;
}

/** Constraints on the ways to decode. */
export interface DecoderMemoryRequest extends Pick<MemoryRequest, "traits"> {
  /** Residency of the weights, if fixed. */
  readonly residency?: Residency | undefined;
  /** The tiling; `auto` leaves the choice to the model. */
  readonly tiling: TilingOptions["tiling"];
  /** Side of a blended tile in pixels, if fixed. */
  readonly tileSize?: number | undefined;
  /** Compute type; float32 by default. */
  readonly computeType?: ComputeType | undefined;
  /** Overlap of blended tiles in pixels. Tile sizes that the model chooses are larger than this. */
  readonly tileOverlap?: number | undefined;
}

/** An open decoder. */
export interface OpenDecoder extends AsyncDisposable {
  /**
   * Decodes the latents of one picture.
   *
   * @param latents [1, channels, height, width], as denoising returns them.
   * @param options Abort signal.
   * @returns Pixels [1, 3, height, width], about -1 to 1, not clamped.
   */
  decode(latents: Tensor<"float32">, options?: CallOptions): Promise<Tensor<"float32">>;
}

/** The properties of input pictures that determine the encoder's memory. */
export interface EncodePicturesJob extends PictureSize {
  /** Total number of pixels of all input pictures before resizing. */
  readonly pixels: number;
}

/** Ways to encode a picture in parts. */
export type EncoderTiling = Exclude<TilingOptions["tiling"], "blended">;

/** Constraints on the ways to encode pictures. */
export interface PictureEncoderMemoryRequest extends Pick<MemoryRequest, "traits"> {
  /** Residency of the weights, if fixed. */
  readonly residency?: Residency | undefined;
  /** The tiling; `auto` leaves the choice to the model. */
  readonly tiling: EncoderTiling;
}

/** Options for opening a picture encoder. */
export interface OpenPictureEncoderOptions extends OpenModelOptions {
  /** The tiling; `auto` chooses by picture size. */
  readonly tiling: EncoderTiling;
}

/** The latents of a picture: one normal distribution per value, without the scaling factor. */
export interface LatentDistribution {
  /** Means [1, channels, height, width]: the most likely latents. */
  readonly mean: Tensor<"float32">;
  /**
   * Standard deviations, of the same shape. Undefined if the encoder returns latents instead of a
   * distribution.
   */
  readonly deviation?: Tensor<"float32"> | undefined;
}

/** A picture encoder whose configuration has been read. */
export interface PictureEncoderModel {
  /** The component with the weights. */
  readonly component: Component;
  /** Number of channels of the latents. */
  readonly latentChannels: number;
  /** Number of pixels along each side of one latent. */
  readonly spatialFactor: number;
  /** Whether the encoder returns a distribution of latents instead of latents only. */
  readonly hasDistribution: boolean;
  /** Factor by which its latents are multiplied before denoising. */
  readonly scalingFactor: number;
  /**
   * Rejects tilings that this encoder does not support.
   *
   * @throws {InputError} if the tiling is not supported.
   */
  checkTiling(tiling: EncoderTiling): void;
  /**
   * Rejects weights that lack the encoder.
   *
   * @throws {CheckpointError} if a tensor is missing; names it.
   */
  checkWeights(weights: Weights): void;
  /** Returns all ways to encode, the best first. */
  memory(weights: Weights, job: EncodePicturesJob, request: PictureEncoderMemoryRequest): MemoryChoice[];
  /** Opens the encoder. It may defer reading weights until the first picture. */
  open(runtime: Runtime, weights: Weights, options: OpenPictureEncoderOptions): OpenPictureEncoder;
}

/** An open picture encoder. */
export interface OpenPictureEncoder extends AsyncDisposable {
  /**
   * Encodes a picture.
   *
   * @param picture [1, 3, height, width] in [-1, 1]. Both sides are multiples of the spatial factor.
   * @param options Abort signal.
   */
  encode(picture: Tensor<"float32">, options?: CallOptions): Promise<LatentDistribution>;
}

/** A family of networks. */
export interface Architecture {
  /** Unique name of the architecture. */
  readonly name: string;
  /** Names of its families, keyed by the pipeline class in `model_index.json`. */
  readonly pipelines: Readonly<Record<string, string>>;
  /** Supported classes of each component. */
  readonly classes: Readonly<Partial<Record<ComponentName, readonly string[]>>>;
  /** Settings of a run that neither the request nor the checkpoint sets. */
  readonly defaults: { readonly steps: number; readonly guidanceScale: number };
  /**
   * Returns whether a weight can be quantized, that is, whether it is a large matrix that multiplies
   * activations.
   *
   * @param name Name of the weight in the checkpoint.
   */
  isQuantizable?(name: string): boolean;
  /**
   * Builds every graph that a run builds for a component. Building a graph locates its tensors, which detects
   * missing tensors and wrong shapes without reading any tensor.
   *
   * @throws {CheckpointError} if something is missing or not supported; names it.
   */
  buildGraphs?(name: ComponentName, component: Component, weights: Weights): void;
  /** Synthetic checkpoints for measuring memory and speed, by name. */
  readonly syntheticPresets?: Readonly<Record<string, MakeSyntheticPreset>>;
  /** Reads the configuration and tokenizer of a text encoder. */
  textEncoder(checkpoint: Checkpoint, options: TextOptions): Promise<TextEncoderModel>;
  /**
   * Reads the configuration of a denoiser.
   *
   * @param checkpoint The checkpoint that renders the pictures.
   * @param transformer The checkpoint's own denoiser, or a replacement.
   */
  denoiser(checkpoint: Checkpoint, transformer: Component): Promise<DenoiserModel>;
  /** Reads the configuration of a decoder. */
  decoder(component: Component): DecoderModel;
  /** Reads the configuration of a picture encoder. Absent if a run cannot start from a picture. */
  pictureEncoder?(component: Component): PictureEncoderModel;
}
