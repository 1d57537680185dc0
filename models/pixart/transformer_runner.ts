// This module is browser compatible.

/**
 * Runs a PixArt transformer.
 *
 * @module
 */

import { InputError } from "../../errors/pixstage_error.ts";
import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import type { ByteAttention, Runtime } from "../../runtime/runtime.ts";
import type { BranchCache } from "../architecture.ts";
import { isShortText } from "./absorbed_attention.ts";
import { CachedStep } from "./cached_step.ts";
import {
  CONTROL_LATENTS,
  CONTROL_SCALE,
  CONTROLLED,
  controlledStepGraph,
  controlledStepSegments,
  controlTextGraph,
  type PixArtControlNet,
} from "./control_net.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { pixartStepSegments, pixartTextGraph } from "./transformer.ts";
import {
  PERTURBED,
  type PixArtOptions,
  ROW_PARTS,
  SCORE_PARTS,
  secondName,
  TEXT,
  TEXT_LENGTHS,
} from "./transformer_options.ts";
import type { PixArtTransformerConfig } from "./transformer_config.ts";
import { rowParts, scoreParts } from "./row_parts.ts";
import { type PositionEmbedding, positionEmbedding } from "./position_embedding.ts";
import type { ComputeType } from "../onnx/graph_builder.ts";
import { type CallOptions, type OpenModelOptions, type Segment, SegmentedModel } from "../segments.ts";
import { timestepEmbedding } from "./timestep_embedding.ts";

/** A text in the form that the prediction graphs accept. */
export interface PreparedText {
  /** Number of tokens. */
  readonly tokens: number;
  /**
   * Keys and values of each block's cross-attention, or the projected text, by name; each [tokens, width].
   */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/** Runs predictions, optionally with the cached state of their guidance branches. */
interface StepModel {
  runEach(
    feeds: readonly Readonly<Record<string, Tensor>>[],
    options: CallOptions,
    caches: readonly (BranchCache | undefined)[],
  ): Promise<Record<string, Tensor>[]>;
  release(): Promise<void>;
}

/** The input of one prediction. */
export interface PredictInputs {
  /** Latents [1, in_channels, h, w], scaled by the scheduler. `h` and `w` are multiples of the patch size. */
  readonly latents: Tensor<"float32">;
  /** The timestep, possibly fractional. */
  readonly timestep: number;
  /** The text, prepared by the same transformer. */
  readonly text: PreparedText;
  /** Whether to perturb the self-attentions that the transformer was opened to perturb. */
  readonly perturbed?: boolean | undefined;
  /** State of its guidance branch, if the transformer was opened with a step cache. */
  readonly cache?: BranchCache | undefined;
  /** Input of the ControlNet. No control is applied if omitted. */
  readonly control?: {
    /** Latents of the control picture, with the shape of `latents`. */
    readonly latents: Tensor<"float32">;
    /** Factor by which the ControlNet's residuals are multiplied. */
    readonly scale: number;
  } | undefined;
  /** Size of the picture in pixels. Required if the configuration sets `use_additional_conditions`. */
  readonly renderSize?: { readonly height: number; readonly width: number } | undefined;
}

/**
 * An open PixArt transformer.
 *
 * @example One prediction
 * ```ts
 * import { openComponent } from "../checkpoint/component.ts";
 * import { openDiskSource } from "../checkpoint/disk_source.ts";
 * import { PixArtTransformer } from "./transformer_runner.ts";
 * import { PixArtTransformerConfig } from "./transformer_config.ts";
 * import { tensor } from "../../artifacts/tensor.ts";
 * import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
 *
 * const source = await openDiskSource("models/pixstage-emoji");
 * const component = await openComponent(source, { component: "transformer" });
 * const config = PixArtTransformerConfig.parse(component.config);
 * await using transformer = PixArtTransformer.open(
 *   new OnnxRuntimeNode(),
 *   config,
 *   await component.weights(),
 * );
 * const text = await transformer.prepareText(tensor("float32", [3, 256], new Float32Array(3 * 256)));
 * const latents = tensor("float32", [1, 4, 32, 32], new Float32Array(4 * 32 * 32));
 * const { shape } = await transformer.predict({ latents, timestep: 999, text });
 * console.assert(shape.join() === "1,8,32,32");
 * ```
 */
export class PixArtTransformer implements AsyncDisposable {
  /** The transformer's configuration. */
  readonly config: PixArtTransformerConfig;
  readonly #text: SegmentedModel;
  readonly #openStep: (shortText: boolean) => Promise<StepModel>;
  readonly #guidanceBranches: 1 | 2;
  readonly #absorbs: boolean;
  readonly #batchesTexts: boolean;
  readonly #splitsRows: boolean;
  readonly #multipliesBytes: boolean;
  readonly #threads: number;
  readonly #byteAttention: ByteAttention;
  readonly #perturbs: boolean;
  /** Whether the graph contains a ControlNet. */
  readonly #containsControl: boolean;
  #step: { readonly shortText: boolean; readonly model: StepModel } | undefined;
  #position:
    | { readonly rows: number; readonly columns: number; readonly embedding: PositionEmbedding }
    | undefined;

  private constructor(
    config: PixArtTransformerConfig,
    text: SegmentedModel,
    openStep: (shortText: boolean) => Promise<StepModel>,
    {
      guidanceBranches,
      absorbs,
      batchesTexts,
      splitsRows,
      multipliesBytes,
      threads,
      byteAttention,
      perturbs,
      containsControl,
    }: {
      readonly guidanceBranches: 1 | 2;
      readonly absorbs: boolean;
      readonly batchesTexts: boolean;
      readonly splitsRows: boolean;
      readonly multipliesBytes: boolean;
      readonly threads: number;
      readonly byteAttention: ByteAttention;
      readonly perturbs: boolean;
      readonly containsControl: boolean;
    },
  ) {
    this.config = config;
    this.#text = text;
    this.#openStep = openStep;
    this.#guidanceBranches = guidanceBranches;
    this.#absorbs = absorbs;
    this.#batchesTexts = batchesTexts;
    this.#splitsRows = splitsRows;
    this.#multipliesBytes = multipliesBytes;
    this.#threads = threads;
    this.#byteAttention = byteAttention;
    this.#perturbs = perturbs;
    this.#containsControl = containsControl;
  }

  /**
   * Opens a transformer. The text graphs are opened for each text and released afterwards. The prediction
   * graphs are opened at the first prediction because short and long texts use different graphs.
   *
   * @param runtime Opens the graphs.
   * @param config The transformer's configuration.
   * @param weights Its weights, in any floating-point type.
   * @param options Residency of the weights; type of the blocks' weights in memory (float32 by default);
   *   number of guidance branches predicted at once (1 by default); self-attentions that can be perturbed
   *   (none by default); the ControlNet; and the step cache's threshold for the change of the first block's
   *   residual (no cache by default).
   * @returns The transformer.
   * @throws {MissingWeightError} if a weight is missing.
   */
  static open(
    runtime: Runtime,
    config: PixArtTransformerConfig,
    weights: Weights,
    options: OpenModelOptions & Pick<PixArtOptions, "weightType" | "guidanceBranches" | "perturbable"> & {
      readonly control?: PixArtControlNet | undefined;
      readonly stepCache?: number | undefined;
    } = {},
  ): PixArtTransformer {
    const layersPerSegment = options.layersPerSegment ?? (options.residency === "stream" ? 1 : undefined);
    const { weightType = "float32", guidanceBranches = 1, perturbable = [], control, stepCache } = options;
    const { hostMemory, float16, transposesWeights, threads = 1 } = runtime.traits;
    const projectsText = !hostMemory;
    const givesText = control !== undefined;
    const textGraphs = [
      pixartTextGraph(config, weights, { projectsText, givesText }),
      ...(control && !projectsText ? [controlTextGraph(config, control)] : []),
    ];
    const text = new SegmentedModel(runtime, textGraphs, { residency: "stream" });
    const computeType: ComputeType = float16 === "blocks" ? weightType : "float32";
    const layout = quantizedLayout(weights);
    const multipliesBytes = hostMemory && layout === "columns";
    const byteAttention = multipliesBytes ? runtime.traits.byteAttention ?? "all" : "none";
    const absorbs = computeType === "float32" && (layout === undefined || hostMemory && layout === "columns");
    // Elsewhere, weights that only a branch transposes would be transposed in each step.
    const branches = layersPerSegment === undefined && !transposesWeights;
    const build = (shortText: boolean): Segment[] => {
      const options = {
        layersPerSegment,
        weightType,
        computeType,
        guidanceBranches,
        shortText,
        projectsText,
        transposesWeights,
        splitsRows: hostMemory,
        multipliesBytes,
        byteAttention,
        perturbable,
        cachesSteps: stepCache !== undefined,
      };
      if (!control) return pixartStepSegments(config, weights, options);
      return branches
        ? controlledStepGraph(config, weights, control, options)
        : controlledStepSegments(config, weights, control, options);
    };
    // Most texts are short. Building the graphs now detects a missing weight before anything is opened.
    const likely = build(absorbs);
    // A ControlNet can split the transformer into many sessions. With pools, each would retain the
    // activations of a block.
    const opening = control && !branches ? { ...options, memoryPool: false } : options;
    const openStep = (shortText: boolean): Promise<StepModel> => {
      const graphs = shortText === absorbs ? likely : build(shortText);
      return stepCache === undefined
        ? SegmentedModel.open(runtime, graphs, opening)
        : CachedStep.open(runtime, graphs, { blocks: config.num_layers, threshold: stepCache }, opening);
    };
    const batchesTexts = computeType === "float16";
    return new PixArtTransformer(config, text, openStep, {
      guidanceBranches,
      absorbs,
      batchesTexts,
      splitsRows: hostMemory,
      multipliesBytes,
      threads,
      byteAttention,
      perturbs: perturbable.length > 0,
      containsControl: control !== undefined && branches,
    });
  }

  /**
   * Computes, once per text, everything that depends only on the text.
   *
   * @param embeddings Output of the text encoder, [tokens, caption_channels], real tokens only.
   * @param options Abort signal.
   * @returns The text in the form that predictions accept.
   */
  async prepareText(embeddings: Tensor<"float32">, options: CallOptions = {}): Promise<PreparedText> {
    const tensors = await this.#text.run({ encoder_hidden_states: embeddings }, options);
    return { tokens: embeddings.shape[0] ?? 0, tensors };
  }

  /**
   * Computes one prediction.
   *
   * @param inputs Latents, timestep, text and size.
   * @param options Abort signal, checked between segments.
   * @returns [1, out_channels, h, w]: the noise, followed by its variance if the model has learned it.
   * @throws {InputError} if the latents' shape does not fit the model, or if the size is missing. */
  async predict(inputs: PredictInputs, options: CallOptions = {}): Promise<Tensor<"float32">> {
    const [sample] = await this.predictEach([inputs], options);
    return sample!;
  }

  /**
   * Computes several predictions, for example of both guidance branches. Streamed weights are read once for
   * all.
   *
   * @param inputs Latents, timestep, text and size of each prediction.
   * @param options Abort signal, checked between segments.
   * @returns One output per prediction, as in {@linkcode PixArtTransformer.predict}.
   * @throws {InputError} if the latents' shape does not fit the model, if the size is missing, or if the
   *   transformer was opened for both branches at once and the inputs are not the two branches of one
   *   prediction.
   */
  async predictEach(
    inputs: readonly PredictInputs[],
    options: CallOptions = {},
  ): Promise<Tensor<"float32">[]> {
    if (this.#guidanceBranches === 2) return await this.#predictBoth(inputs, options);
    const step = await this.#stepFor(inputs);
    const feeds = inputs.map((one) => this.#feeds(one));
    const outputs = await step.runEach(feeds, options, inputs.map(({ cache }) => cache));
    return outputs.map(({ sample }) => sample as Tensor<"float32">);
  }

  /** Releases the sessions and their memory. Calling it again has no effect. */
  async release(): Promise<void> {
    await this.#text.release();
    await this.#step?.model.release();
    this.#step = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /**
   * Returns the model that predicts with these texts. Both guidance branches share it, so weights are read
   * once for both.
   */
  async #stepFor(inputs: readonly PredictInputs[]): Promise<StepModel> {
    const { attention_head_dim } = this.config;
    const shortText = this.#absorbs &&
      inputs.every(({ text }) => isShortText(text.tokens, attention_head_dim));
    if (this.#step?.shortText !== shortText) {
      await this.#step?.model.release();
      this.#step = undefined;
      this.#step = { shortText, model: await this.#openStep(shortText) };
    }
    return this.#step.model;
  }

  async #predictBoth(
    [first, second, ...others]: readonly PredictInputs[],
    options: CallOptions,
  ): Promise<Tensor<"float32">[]> {
    const isOne = first?.latents === second?.latents && first?.timestep === second?.timestep;
    if (!first || !second || others.length > 0 || !isOne) {
      throw new InputError(
        "invalid_value",
        "Cannot predict: this transformer was opened for two texts at once, with the same latents and timestep",
      );
    }
    const step = await this.#stepFor([first, second]);
    const [output] = await step.runEach([this.#feeds(first, second.text)], options, [first.cache]);
    const { shape, data } = output!["sample"] as Tensor<"float32">;
    const half = data.length / 2;
    return [0, half].map((start) =>
      tensor("float32", [1, ...shape.slice(1)], data.subarray(start, start + half))
    );
  }

  #feeds(inputs: PredictInputs, secondText?: PreparedText): Record<string, Tensor> {
    const { columns, rows } = this.#positions(inputs.latents.shape);
    const texts = [inputs.text, ...(secondText ? [secondText] : [])];
    return {
      ...(this.#batchesTexts ? textBatch(texts) : textsByName(texts)),
      ...this.#sizeConditions(inputs),
      ...this.#parts(rows.shape[0]! * columns.shape[0]!),
      ...(this.#perturbs
        ? { [PERTURBED]: tensor("bool", [], Uint8Array.of(Number(inputs.perturbed ?? false))) }
        : {}),
      ...controlFeeds(inputs, this.#containsControl),
      latents: inputs.latents,
      timestep: timestepEmbedding([inputs.timestep]),
      position_columns: columns,
      position_rows: rows,
    };
  }

  /** Returns the parts in which a CPU processes a picture. */
  #parts(rows: number): Record<string, Tensor> {
    const heads = this.config.num_attention_heads;
    const multiplies = this.#multipliesBytes ? "bytes" : "floats";
    const weights = this.#byteAttention === "all" ? "bytes" : "float32";
    return {
      ...(this.#splitsRows ? { [ROW_PARTS]: counts(rowParts(rows, this.#threads, multiplies)) } : {}),
      ...(this.#byteAttention === "none"
        ? {}
        : { [SCORE_PARTS]: counts(...scoreParts(rows, heads, this.#threads, weights)) }),
    };
  }

  #sizeConditions({ renderSize }: PredictInputs): Record<string, Tensor> {
    if (!this.config.use_additional_conditions) return {};
    if (renderSize === undefined) {
      throw new InputError(
        "invalid_value",
        "Cannot predict: this transformer requires renderSize, the size of the picture in pixels",
      );
    }
    return {
      resolution: timestepEmbedding([renderSize.height, renderSize.width]),
      aspect_ratio: timestepEmbedding([renderSize.height / renderSize.width]),
    };
  }

  #positions(shape: readonly number[]): PositionEmbedding {
    const { patch_size, in_channels, sample_size, interpolation_scale } = this.config;
    const [batch, channels, height = 0, width = 0] = shape;
    if (
      shape.length !== 4 || batch !== 1 || channels !== in_channels ||
      height === 0 || height % patch_size !== 0 || width === 0 || width % patch_size !== 0
    ) {
      throw new InputError(
        "invalid_shape",
        `Cannot predict: latents must be [1, ${in_channels}, h, w] with h and w multiples of ${patch_size}, ` +
          `but are [${shape}]`,
      );
    }
    const rows = height / patch_size;
    const columns = width / patch_size;
    if (this.#position?.rows !== rows || this.#position.columns !== columns) {
      const embedding = positionEmbedding(rows, columns, {
        width: this.config.num_attention_heads * this.config.attention_head_dim,
        baseSize: Math.floor(sample_size / patch_size),
        interpolationScale: interpolation_scale,
      });
      this.#position = { rows, columns, embedding };
    }
    return this.#position.embedding;
  }
}

/** Returns the inputs of the ControlNet. A graph that contains it needs them even if it is off. */
function controlFeeds(
  { control, latents }: PredictInputs,
  isInGraph: boolean,
): Record<string, Tensor> {
  if (!control && !isInGraph) return {};
  const on = isInGraph
    ? { [CONTROLLED]: tensor("bool", [], Uint8Array.of(Number(control !== undefined))) }
    : {};
  const { latents: controlLatents, scale } = control ?? { latents, scale: 0 };
  if (String(controlLatents.shape) !== String(latents.shape)) {
    throw new InputError(
      "invalid_shape",
      `Cannot predict: control latents must be [${latents.shape}], but are [${controlLatents.shape}]`,
    );
  }
  return {
    ...on,
    [CONTROL_LATENTS]: controlLatents,
    [CONTROL_SCALE]: tensor("float32", [], Float32Array.of(scale)),
  };
}

/** Collects the texts' tensors by name, with separate names for a second text. */
function textsByName(texts: readonly PreparedText[]): Record<string, Tensor> {
  return Object.fromEntries(
    texts.flatMap(({ tensors }, index) =>
      Object.entries(tensors).map(([name, value]) => [index === 0 ? name : secondName(name), value])
    ),
  );
}

/** Combines the projected texts into one tensor, padded with zeros to the longest. */
function textBatch(texts: readonly PreparedText[]): Record<string, Tensor> {
  const lengths = Int32Array.from(texts, ({ tokens }) => tokens);
  const longest = Math.max(...lengths);
  const projected = texts.map(({ tensors }) => tensors[TEXT] as Tensor<"float32">);
  const width = projected[0]!.shape[1]!;
  const data = new Float32Array(texts.length * longest * width);
  projected.forEach((text, index) => data.set(text.data, index * longest * width));
  return {
    [TEXT]: tensor("float32", [texts.length, longest, width], data),
    [TEXT_LENGTHS]: tensor("int32", [texts.length], lengths),
  };
}

function counts(...numbers: readonly number[]): Tensor {
  return tensor("int64", [numbers.length], BigInt64Array.from(numbers, BigInt));
}

/** Returns how the weights are quantized, if they are. */
function quantizedLayout(weights: Weights): "blocks" | "columns" | undefined {
  return weights.locate("transformer_blocks.0.attn2.to_q.weight").quantized?.layout;
}
