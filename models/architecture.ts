// This module is browser compatible.

/**
 * An architecture: everything that belongs to one family of networks and to no other. Stages, planning, command line and
 * server ask an architecture instead of naming a network.
 *
 * Each of its three parts (text encoder, denoiser, decoder) exists twice: as a *model*, its configuration read and no
 * weight, which answers what a run must know beforehand; and *open*, with weights, which computes.
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
import type { MakeRehearsal } from "./rehearsal/preset.ts";
import type { CallOptions, OpenModelOptions, Residency } from "./segments.ts";

/** A size in pixels. */
export interface PictureSize {
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
}

/** A text as token ids. */
export interface TokenizedText {
  /** The ids of real tokens, the end token included, padding not. */
  readonly ids: ArrayLike<number>;
  /** What the user should know: text that was cut off, or that cleaning removed. A sentence each. */
  readonly warnings: readonly string[];
}

/** How texts are prepared. */
export interface TextOptions {
  /** Whether captions are cleaned as the training captions were. */
  readonly cleanCaption: boolean;
  /** Tokens that embeddings are padded to, longer texts being cut; the architecture's own by default. */
  readonly maxSequenceLength?: number | undefined;
}

/** A text encoder, its configuration and its tokenizer read. */
export interface TextEncoderModel {
  /** The component whose weights it takes. */
  readonly component: Component;
  /** SHA-256 of other files that embeddings depend on, by their folder in the checkpoint: `tokenizer`. */
  readonly files: Readonly<Record<string, string>>;
  /** Tokens that embeddings are padded to. */
  readonly sequenceLength: number;
  /** Channels of an embedding. */
  readonly channels: number;
  /** Cleans a text, and finds its tokens. */
  tokenize(text: string): TokenizedText;
  /** All ways to encode texts of so many tokens, the best first. */
  memory(weights: Weights, tokens: readonly number[], request: MemoryRequest): MemoryChoice[];
  /** Opens the encoder. */
  open(runtime: Runtime, weights: Weights, options: OpenModelOptions): Promise<OpenTextEncoder>;
}

/** An open text encoder. */
export interface OpenTextEncoder extends AsyncDisposable {
  /**
   * Encodes texts. Weights that stream are read once for all of them.
   *
   * @param texts Token ids of each text.
   * @param options A signal.
   * @returns For each text [tokens, channels].
   */
  encodeEach(texts: readonly ArrayLike<number>[], options?: CallOptions): Promise<Tensor<"float32">[]>;
}

/** A text as an open denoiser keeps it during a run. Only the denoiser that made it can read it. */
export type PreparedText = object;

/** What a network's blocks added to their input in the last call that ran all of them: values in rows, flat. */
export interface BlockResiduals {
  /** What the first block added. */
  readonly first: Float32Array;
  /** What the blocks behind it added. */
  readonly rest: Float32Array;
}

/** What is remembered of one branch of guidance from call to call; the denoiser writes it anew. */
export interface BranchCache {
  /** None before the first call. */
  residuals?: BlockResiduals | undefined;
}

/** What a denoiser predicts from. */
export interface Prediction {
  /** [1, channels, height, width], scaled as the scheduler wants it. */
  readonly latents: Tensor<"float32">;
  /** The timestep; it may be fractional. */
  readonly timestep: number;
  /** The text. */
  readonly text: PreparedText;
  /** The size of the picture that the latents stand for, where the network is conditioned on it. */
  readonly renderSize?: PictureSize | undefined;
  /** Whether each token sees itself alone in the self-attentions that the denoiser was opened to perturb. */
  readonly perturbed?: boolean | undefined;
  /** What is remembered of its branch, where the denoiser was opened with a step cache; nothing if left out. */
  readonly cache?: BranchCache | undefined;
  /** What the ControlNet follows that the denoiser was opened with; no control without it. */
  readonly control?: {
    /** The latents of a picture, of the shape of `latents`. */
    readonly latents: Tensor<"float32">;
    /** What residuals are multiplied by. */
    readonly scale: number;
  } | undefined;
}

/** A denoising, as far as its memory depends on it. */
export interface DenoiseJob {
  /** The size that the picture is denoised at. */
  readonly renderSize: PictureSize;
  /** Whether there are two branches of guidance. */
  readonly guided: boolean;
  /** Whether each call predicts both branches of guidance and nothing else, so that both may be predicted at once. */
  readonly bothBranches: boolean;
  /** Whether what blocks add is kept from call to call. */
  readonly cachesSteps: boolean;
  /** Tokens of the longest prompt. */
  readonly promptTokens: number;
  /** Tokens of the longest negative prompt. */
  readonly negativeTokens: number;
}

/** How a denoiser is opened. */
export interface OpenDenoiserOptions extends OpenModelOptions {
  /** The precision of its matrices. */
  readonly precision: Precision;
  /** Whether each call predicts both branches of guidance and nothing else, so that both may be predicted at once. */
  readonly bothBranches: boolean;
  /** The size that pictures are denoised at. */
  readonly renderSize: PictureSize;
  /** Names of the self-attentions that predictions may perturb; none by default. */
  readonly perturbable?: readonly string[] | undefined;
  /**
   * Up to which change of what the first block adds, relative to the last call that ran all blocks, the others are not run:
   * what they added then is added again. They always run if left out.
   */
  readonly stepCache?: number | undefined;
  /** A ControlNet that predictions may follow a picture by. */
  readonly controlNet?: { readonly component: Component; readonly weights: Weights } | undefined;
}

/** A ControlNet that fits a denoiser. */
export interface ControlNetModel {
  /**
   * Adds what it takes to the ways to denoise.
   *
   * @param choices The ways to denoise without it.
   * @param job The denoising.
   */
  memory(choices: readonly MemoryChoice[], job: DenoiseJob): MemoryChoice[];
}

/** A denoiser, its configuration read. */
export interface DenoiserModel {
  /** The component whose weights it takes. */
  readonly component: Component;
  /** Pixels along a side of one latent. */
  readonly spatialFactor: number;
  /** What latents depend on beside weights, text, schedule and size. */
  readonly identity: JsonObject;
  /** Names of its self-attentions in the order of its blocks, where predictions can perturb them. */
  readonly selfAttentions?: readonly string[] | undefined;
  /** Whether it can be opened with a step cache. */
  readonly cachesSteps?: boolean | undefined;
  /** Colours of previews, where latents have them. */
  readonly latentColours?: LatentColours | undefined;
  /**
   * Settles the size of a picture, and the size that it is denoised at.
   *
   * @param wanted The size that was asked for; the model's own where it is left out.
   * @param binning Whether pictures are denoised at the nearest size that the model was trained on.
   * @throws {RangeError} if the model cannot make that size.
   */
  resolveSize(wanted: { readonly [K in keyof PictureSize]?: number | undefined }, binning: boolean): {
    readonly size: PictureSize;
    readonly renderSize: PictureSize;
  };
  /** Shape of the latents of one picture, [1, channels, height, width]. */
  latentShape(renderSize: PictureSize): readonly number[];
  /**
   * Refuses embeddings of another text encoder.
   *
   * @param channels Channels of the embeddings.
   * @throws {ArtifactError} if this denoiser takes others.
   */
  checkEmbeddings(channels: number): void;
  /** Whether the scheduler's denoised sample is the result, in place of its next sample, in a run of so many calls. */
  returnsDenoised(calls: number): boolean;
  /** The predicted noise within what {@linkcode OpenDenoiser.predictEach} gives for a sample of so many values. */
  readPrediction(output: Float32Array, length: number): Float32Array;
  /** All ways to denoise, the best first. */
  memory(weights: Weights, job: DenoiseJob, request: MemoryRequest): MemoryChoice[];
  /**
   * Holds a ControlNet against this denoiser; absent where none of its kind has one.
   *
   * @throws {CheckpointError} if it does not fit.
   */
  controlNet?(component: Component, weights: Weights): ControlNetModel;
  /** Opens the denoiser. */
  open(
    runtime: Runtime,
    weights: Weights,
    options: OpenDenoiserOptions,
  ): Promise<OpenDenoiser> | OpenDenoiser;
}

/** An open denoiser. */
export interface OpenDenoiser extends AsyncDisposable {
  /**
   * Computes what depends on the text alone, once per text.
   *
   * @param embedding [tokens, channels], real tokens alone.
   * @param options A signal.
   */
  prepareText(embedding: Tensor<"float32">, options?: CallOptions): Promise<PreparedText>;
  /**
   * Predicts several times, as for both branches of guidance. Weights that stream are read once for all.
   *
   * @param inputs Latents, timestep, text and size of each prediction.
   * @param options A signal.
   * @returns The network's output for each; see {@linkcode DenoiserModel.readPrediction}.
   */
  predictEach(inputs: readonly Prediction[], options?: CallOptions): Promise<Tensor<"float32">[]>;
}

/** How pictures are cut while they are decoded. */
export interface TilingOptions {
  /** `none`, `seamless` (the whole picture's statistics), `blended` (each tile by itself), or `auto`: by the size. */
  readonly tiling: "auto" | "none" | "seamless" | "blended";
  /** Height and width of a blended tile, in pixels. */
  readonly tileSize: number;
  /** Pixels that blended tiles share. */
  readonly tileOverlap: number;
}

/** Latents that are to be decoded, as far as the decoder's memory depends on them. */
export interface DecodeJob {
  /** Rows of the latents. */
  readonly latentHeight: number;
  /** Columns of the latents. */
  readonly latentWidth: number;
  /** Pictures, which are decoded one after the other and held until the last. */
  readonly images: number;
}

/** How a decoder is opened. */
export interface OpenDecoderOptions extends OpenModelOptions, TilingOptions {
  /** What it computes in, as far as its values allow; float32 by default. */
  readonly computeType?: ComputeType | undefined;
  /** Is called when values outgrew that type and the picture is decoded again in float32. */
  readonly onOverflow?: (() => void) | undefined;
  /** Takes the error when memory ran out in one piece and the picture is decoded strip by strip instead. */
  readonly onFallback?: ((error: Error) => void) | undefined;
}

/** A decoder, its configuration read. */
export interface DecoderModel {
  /** The component whose weights it takes. */
  readonly component: Component;
  /** Channels of the latents. */
  readonly latentChannels: number;
  /** Pixels along a side of one latent. */
  readonly spatialFactor: number;
  /**
   * Refuses ways of cutting pictures that this decoder cannot take.
   *
   * @throws {RangeError} if it cannot.
   */
  checkTiling(tiling: TilingOptions): void;
  /** All ways to decode, the best first. */
  memory(weights: Weights, job: DecodeJob, request: DecoderMemoryRequest): MemoryChoice[];
  /** Opens the decoder. Weights may be read at the first picture only. */
  open(runtime: Runtime, weights: Weights, options: OpenDecoderOptions): Promise<OpenDecoder> | OpenDecoder;
}

/** Bounds of the ways to decode. */
export interface DecoderMemoryRequest extends Pick<MemoryRequest, "traits"> {
  /** How long weights are held, where that is fixed. */
  readonly residency?: Residency | undefined;
  /** How pictures are cut; chosen if `auto`. */
  readonly tiling: TilingOptions["tiling"];
  /** Side of a blended tile in pixels, where that is fixed. */
  readonly tileSize?: number | undefined;
  /** What it computes in; float32 by default. */
  readonly computeType?: ComputeType | undefined;
  /** Pixels that blended tiles share: tiles that are chosen are larger. */
  readonly tileOverlap?: number | undefined;
}

/** An open decoder. */
export interface OpenDecoder extends AsyncDisposable {
  /**
   * Decodes the latents of one picture.
   *
   * @param latents [1, channels, height, width], as denoising gives them.
   * @param options A signal.
   * @returns [1, 3, height, width] in pixels, about -1 to 1, not clamped.
   */
  decode(latents: Tensor<"float32">, options?: CallOptions): Promise<Tensor<"float32">>;
}

/** Pictures that are to be encoded, as far as the encoder's memory depends on them. */
export interface EncodePicturesJob extends PictureSize {
  /** Pixels of all pictures as they are given, before they are resized. */
  readonly pixels: number;
}

/** How pictures are cut while they are encoded. */
export type EncoderTiling = Exclude<TilingOptions["tiling"], "blended">;

/** Bounds of the ways to encode pictures. */
export interface PictureEncoderMemoryRequest extends Pick<MemoryRequest, "traits"> {
  /** How long weights are held, where that is fixed. */
  readonly residency?: Residency | undefined;
  /** How pictures are cut; chosen if `auto`. */
  readonly tiling: EncoderTiling;
}

/** How an encoder of pictures is opened. */
export interface OpenPictureEncoderOptions extends OpenModelOptions {
  /** How pictures are cut; chosen by their size if `auto`. */
  readonly tiling: EncoderTiling;
}

/** The latents of a picture: a normal distribution for each value. None is scaled. */
export interface LatentDistribution {
  /** The means, [1, channels, height, width]: the most likely latents. */
  readonly mean: Tensor<"float32">;
  /** The standard deviations, of the same shape; left out where the encoder gives latents and no distribution. */
  readonly deviation?: Tensor<"float32"> | undefined;
}

/** An encoder of pictures, its configuration read. */
export interface PictureEncoderModel {
  /** The component whose weights it takes. */
  readonly component: Component;
  /** Channels of the latents. */
  readonly latentChannels: number;
  /** Pixels along a side of one latent. */
  readonly spatialFactor: number;
  /** Whether it gives a distribution of latents, and not the latents alone. */
  readonly hasDistribution: boolean;
  /** What its latents are multiplied by before they are denoised. */
  readonly scalingFactor: number;
  /**
   * Refuses ways of cutting pictures that this encoder cannot take.
   *
   * @throws {InputError} if it cannot.
   */
  checkTiling(tiling: EncoderTiling): void;
  /**
   * Refuses weights that lack the encoder's.
   *
   * @throws {CheckpointError} with what is missing.
   */
  checkWeights(weights: Weights): void;
  /** All ways to encode, the best first. */
  memory(weights: Weights, job: EncodePicturesJob, request: PictureEncoderMemoryRequest): MemoryChoice[];
  /** Opens the encoder. Weights may be read at the first picture only. */
  open(runtime: Runtime, weights: Weights, options: OpenPictureEncoderOptions): OpenPictureEncoder;
}

/** An open encoder of pictures. */
export interface OpenPictureEncoder extends AsyncDisposable {
  /**
   * Encodes a picture.
   *
   * @param picture [1, 3, height, width] in [-1, 1]; both sides are multiples of the pixels of a latent.
   * @param options A signal.
   */
  encode(picture: Tensor<"float32">, options?: CallOptions): Promise<LatentDistribution>;
}

/** A family of networks. */
export interface Architecture {
  /** Its name. */
  readonly name: string;
  /** Its pipelines, by the class that `model_index.json` names, each with the name of its kind in lists. */
  readonly pipelines: Readonly<Record<string, string>>;
  /** Classes that each component may have. */
  readonly classes: Readonly<Partial<Record<ComponentName, readonly string[]>>>;
  /** Settings of a run where neither the request nor the checkpoint says otherwise. */
  readonly defaults: { readonly steps: number; readonly guidanceScale: number };
  /**
   * Whether a weight can be quantized: a matrix that is large and multiplies activations.
   *
   * @param name Its name in the checkpoint.
   */
  isQuantizable?(name: string): boolean;
  /**
   * Builds all graphs that a run builds of a component. Each asks the weights for the tensors that it names, so that one
   * that is missing or has another shape is found without reading any.
   *
   * @throws {CheckpointError} with what is missing or not supported.
   */
  buildGraphs?(name: ComponentName, component: Component, weights: Weights): void;
  /** Checkpoints to rehearse memory and speed with, by name. */
  readonly rehearsals?: Readonly<Record<string, MakeRehearsal>>;
  /** Reads what a text encoder is. */
  textEncoder(checkpoint: Checkpoint, options: TextOptions): Promise<TextEncoderModel>;
  /**
   * Reads what a denoiser is.
   *
   * @param checkpoint The checkpoint that pictures are made with.
   * @param transformer Its own denoiser, or another.
   */
  denoiser(checkpoint: Checkpoint, transformer: Component): Promise<DenoiserModel>;
  /** Reads what a decoder is. */
  decoder(component: Component): DecoderModel;
  /** Reads what an encoder of pictures is; left out where pictures cannot be a beginning. */
  pictureEncoder?(component: Component): PictureEncoderModel;
}
