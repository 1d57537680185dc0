// This module is browser compatible.

/**
 * The T5 encoder as ONNX graphs. Raffel et al., "Exploring the Limits of Transfer Learning with a Unified
 * Text-to-Text Transformer" (https://arxiv.org/abs/1910.10683), in version 1.1 (Shazeer, "GLU Variants
 * Improve Transformer", https://arxiv.org/abs/2002.05202); reference: transformers/models/t5/modeling_t5.py.
 *
 * A graph encodes the real tokens of one text. There is no padding and therefore no mask.
 *
 * @module
 */

import type { Weights } from "../checkpoint/weights.ts";
import { Layers } from "../layers.ts";
import { attention } from "../onnx/attention.ts";
import { type BuiltGraph, GraphBuilder, type Value } from "../onnx/graph_builder.ts";
import { layerRanges, type SegmentOptions } from "../segments.ts";
import type { T5Activation, T5EncoderConfig } from "./encoder_config.ts";

/**
 * Builds the encoder in segments of `layersPerSegment` layers: `input_ids` [tokens] and `position_buckets`
 * [tokens, tokens], both int32 → `last_hidden_state` [tokens, d_model].
 */
export function t5EncoderSegments(
  config: T5EncoderConfig,
  weights: Weights,
  options: SegmentOptions = {},
): BuiltGraph[] {
  const tokens = ["tokens", config.d_model] as const;
  const pairs = [1, config.num_heads, "tokens", "tokens"] as const;
  return layerRanges(config.num_layers, options.layersPerSegment).map(({ first, end }) => {
    const encoder = new T5Layers(config, weights, options);
    const g = encoder.graph;

    const isFirst = first === 0;
    const isLast = end === config.num_layers;
    let hidden = isFirst ? encoder.embed() : g.input(`hidden.${first}`, "float32", tokens);
    const bias = isFirst ? encoder.positionBias() : g.input("position_bias", "float32", pairs);
    for (let layer = first; layer < end; layer++) {
      hidden = encoder.feedForward(layer, encoder.selfAttention(layer, hidden, bias));
    }
    if (isLast) {
      g.output("last_hidden_state", encoder.finalNorm(hidden), tokens);
    } else {
      g.output(`hidden.${end}`, hidden, tokens);
    }
    if (isFirst && !isLast) g.output("position_bias", bias, pairs);
    return g.build(`${weights.component}.layers.${first}-${end - 1}`);
  });
}

/**
 * Names of the token embedding. transformers ties the two tensors, so a file can contain either. If it
 * contains both and they differ, the encoder uses the first.
 */
const EMBEDDING_NAMES = { own: "encoder.embed_tokens.weight", shared: "shared.weight" } as const;

/** Activations of the feed-forward layers. */
const ACTIVATE: Readonly<Record<T5Activation, (g: GraphBuilder, x: Value) => Value>> = {
  relu: (g, x) => g.relu(x),
  gelu: (g, x) => g.gelu(x),
  gelu_new: (g, x) => g.geluTanh(x),
  silu: (g, x) => g.silu(x),
};

/** Builds the layers of the encoder. */
class T5Layers {
  readonly graph: GraphBuilder;
  readonly #config: T5EncoderConfig;
  readonly #weights: Weights;
  readonly #layers: Layers;

  constructor(config: T5EncoderConfig, weights: Weights, options: SegmentOptions) {
    this.#config = config;
    this.#weights = weights;
    this.graph = new GraphBuilder(options.exposed);
    this.#layers = new Layers(this.graph, weights);
  }

  /** Looks up the rows of the token embedding. */
  embed(): Value {
    const { vocab_size, d_model } = this.#config;
    const ids = this.graph.input("input_ids", "int32", ["tokens"]);
    const { own, shared } = EMBEDDING_NAMES;
    const name = this.#weights.has(own) ? own : shared;
    const table = this.#weights.locate(name, [vocab_size, d_model]);
    return this.#hidden("embeddings", this.graph.rows(table, ids));
  }

  /**
   * Computes the learned bias of each head and pair of tokens. All layers share it; its weight belongs to the
   * first layer.
   */
  positionBias(): Value {
    const { relative_attention_num_buckets, num_heads } = this.#config;
    const g = this.graph;
    const buckets = g.input("position_buckets", "int32", ["tokens", "tokens"]);
    const table = this.#weights.locate(
      "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
      [
        relative_attention_num_buckets,
        num_heads,
      ],
    );
    return g.op("Unsqueeze", [g.transpose(g.rows(table, buckets), [2, 0, 1]), g.int64s([0])]);
  }

  /** Adds self-attention, with unscaled scores, to the residual stream. */
  selfAttention(layer: number, hidden: Value, bias: Value): Value {
    const { d_model, d_kv, num_heads } = this.#config;
    const module = `encoder.block.${layer}.layer.0`;
    const inner = num_heads * d_kv;
    const normed = this.#norm(`${module}.layer_norm`, hidden);
    const [query, key, value] = ["q", "k", "v"].map((name) =>
      this.#layers.linear(`${module}.SelfAttention.${name}`, normed, d_model, inner, { bias: false })
    );
    this.graph.probe(`block.${layer}/q`, query!, ["tokens", inner]);
    const attended = attention(this.graph, query!, key!, value!, { heads: num_heads, scale: 1, bias });
    const projected = this.#layers.linear(`${module}.SelfAttention.o`, attended, inner, d_model, {
      bias: false,
    });
    this.#hidden(`block.${layer}/self_attention`, projected);
    return this.#hidden(`block.${layer}/attention`, this.graph.add(hidden, projected));
  }

  /**
   * Adds the feed-forward layer to the residual stream: two linear layers with an activation between them,
   * optionally gated by a third.
   */
  feedForward(layer: number, hidden: Value): Value {
    const { d_model, d_ff, activation, is_gated } = this.#config;
    const g = this.graph;
    const activate = (x: Value): Value => ACTIVATE[activation](g, x);
    const module = `encoder.block.${layer}.layer.1`;
    const normed = this.#norm(`${module}.layer_norm`, hidden);
    const linear = (name: string, x: Value, input: number, output: number): Value =>
      this.#layers.linear(`${module}.DenseReluDense.${name}`, x, input, output, { bias: false });
    const inner = is_gated
      ? g.mul(activate(linear("wi_0", normed, d_model, d_ff)), linear("wi_1", normed, d_model, d_ff))
      : activate(linear("wi", normed, d_model, d_ff));
    return this.#hidden(`block.${layer}`, g.add(hidden, linear("wo", inner, d_ff, d_model)));
  }

  /** Normalizes the output of the last layer. */
  finalNorm(hidden: Value): Value {
    return this.#hidden("final_layer_norm", this.#norm("encoder.final_layer_norm", hidden));
  }

  #norm(module: string, x: Value): Value {
    const scale = this.#layers.weight(`${module}.weight`, [this.#config.d_model]);
    return this.graph.rmsNorm(x, scale, this.#config.layer_norm_epsilon);
  }

  #hidden(name: string, value: Value): Value {
    return this.graph.probe(name, value, ["tokens", this.#config.d_model]);
  }
}
