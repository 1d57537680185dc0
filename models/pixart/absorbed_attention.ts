// This module is browser compatible.

/**
 * Cross-attention to a short text with absorbed projections: the query and output matrices are first
 * multiplied with the few keys and values of the text instead of the many rows of the picture. The sums are
 * the same in a different order:
 *
 * - scores of head h: (x · Qₕᵀ) · kₕᵀ = x · (kₕ · Qₕ)ᵀ
 * - output: Σₕ (pₕ · vₕ) · Oₕᵀ = Σₕ pₕ · (vₕ · Oₕᵀ)
 *
 * Per row, two products of width × width become two of width × (heads · text tokens). This pays off if the
 * text has fewer tokens than a head has channels. For an empty negative prompt, which has one token, almost
 * no work remains. DeepSeek-V2 (https://arxiv.org/abs/2405.04434, section 2.1.2) absorbs the projections of
 * its latent attention in the same way.
 *
 * @module
 */

import type { Layers } from "../layers.ts";
import type { GraphBuilder, Value } from "../onnx/graph_builder.ts";
import { byteScores, byteSums, textPaysOff } from "./absorbed_bytes.ts";

/** Largest number of text tokens for which absorbing is used, as a fraction of a head's channels. */
const LARGEST_SHARE = 3 / 4;

/** Returns whether a text is short enough for absorbing to pay off. */
export function isShortText(tokens: number, headSize: number): boolean {
  return tokens <= LARGEST_SHARE * headSize;
}

/** The parameters of a cross-attention. */
export interface AbsorbedAttention {
  /** The module that contains `to_q` and `to_out.0`. */
  readonly module: string;
  /** Number of heads. */
  readonly heads: number;
  /** Number of channels of a row: heads times channels per head. */
  readonly width: number;
  /** Whether the query has a bias. */
  readonly bias: boolean;
  /** Keys of the text, [text tokens, width]. */
  readonly key: Value;
  /** Values of the text, [text tokens, width]. */
  readonly value: Value;
  /** Whether rows are many enough for integer products, a boolean [1]. By default, all products are float32. */
  readonly hasManyRows?: Value | undefined;
}

/**
 * Projects rows [tokens, width] to queries, attends to the text, and projects the output.
 *
 * @returns [tokens, width], or [1, width] if it is known to be the same for all rows.
 */
export function absorbedAttention(layers: Layers, rows: Value, attention: AbsorbedAttention): Value {
  const { module, heads, width, hasManyRows } = attention;
  const g = layers.graph;
  const values = absorbedValues(layers, rows, attention);
  const bias = layers.weight(`${module}.to_out.0.bias`, [width]);
  const attend = () => {
    const { keys, keyBias } = absorbedKeys(layers, rows, attention);
    const inBytes = hasManyRows && g.op("And", [hasManyRows, textPaysOff(g, attention.key)]);
    const product = (bytes: () => Value, floats: () => Value, channels: number | string): Value =>
      inBytes ? g.choose(inBytes, bytes, floats, "float32", ["tokens", channels]) : floats();
    const scores = product(
      () => byteScores(g, rows, keys, width, keyBias),
      () => g.gemm(rows, keys, keyBias),
      "scores",
    );
    const scoresOfHeads = g.reshape(scores, [0, heads, -1]);
    const probabilities = g.reshapeLike(g.op("Softmax", [scoresOfHeads], { axis: -1n }), scores);
    return product(
      () => byteSums(g, probabilities, values, heads, width, bias),
      () => g.op("Gemm", [probabilities, values, bias]),
      width,
    );
  };
  if (!hasManyRows) return attend();
  // The probability of a single token is 1.
  const sum = () => g.add(g.op("ReduceSum", [values, g.int64s([0])]), bias);
  const tokens = g.op("Shape", [attention.key], { start: 0n, end: 1n });
  return g.choose(g.op("Equal", [tokens, g.int64s([1])]), sum, attend, "float32", ["sums", width]);
}

/** Splits the channels of a text's keys or values by head, [heads, text tokens, size]. */
function byHead(g: GraphBuilder, text: Value, { heads, width }: AbsorbedAttention): Value {
  return g.transpose(g.reshape(text, [-1, heads, width / heads]), [1, 0, 2]);
}

/** Multiplies the keys with the query matrix, [heads · text tokens, width], and with the query's bias. */
function absorbedKeys(
  layers: Layers,
  rows: Value,
  attention: AbsorbedAttention,
): { keys: Value; keyBias: Value | undefined } {
  const { module, heads, width, bias } = attention;
  const g = layers.graph;
  const size = width / heads;
  const key = g.mul(byHead(g, attention.key, attention), g.scalar(1 / Math.sqrt(size)));
  const query = layers.scaledMatrix(`${module}.to_q.weight`, [width, width], rows);
  const scaledKey = query.scales ? g.mul(key, g.reshape(query.scales, [heads, 1, size])) : key;
  const queryByHead = g.reshape(query.values, [heads, size, width]);
  const keyMatrix = g.reshape(g.matMul(scaledKey, queryByHead), [-1, width]);
  const queryBias = bias && g.reshape(layers.weight(`${module}.to_q.bias`, [width]), [heads, size, 1]);
  return {
    keys: adaptedKeys(layers, attention, key, keyMatrix),
    keyBias: queryBias ? g.reshape(g.matMul(key, queryBias), [-1]) : undefined,
  };
}

/** Multiplies the values with the output matrix, [heads · text tokens, width]. */
function absorbedValues(layers: Layers, rows: Value, attention: AbsorbedAttention): Value {
  const { module, heads, width } = attention;
  const g = layers.graph;
  const value = byHead(g, attention.value, attention);
  const output = layers.scaledMatrix(`${module}.to_out.0.weight`, [width, width], rows);
  const outputByHead = g.reshape(g.transpose(output.values, [1, 0]), [heads, width / heads, width]);
  const unscaled = g.reshape(g.matMul(value, outputByHead), [-1, width]);
  const valueMatrix = output.scales ? g.mul(unscaled, output.scales) : unscaled;
  return adaptedValues(layers, attention, value, valueMatrix);
}

/** Adds the query's low-rank branches to the key matrix: kₕ · (s · Bₕ · A), with the small product first. */
function adaptedKeys(
  layers: Layers,
  { module, heads, width }: AbsorbedAttention,
  key: Value,
  keyMatrix: Value,
): Value {
  const g = layers.graph;
  return layers.branches(`${module}.to_q`).reduce((sum, { down, up, scale }) => {
    const rank = down.shape[0]!;
    const inner = g.matMul(key, g.reshape(g.weight(up), [heads, width / heads, rank]));
    return g.op("Gemm", [g.reshape(inner, [-1, rank]), g.weight(down), sum], { alpha: scale });
  }, keyMatrix);
}

/** Adds the output's low-rank branches to the value matrix: (vₕ · Aₕᵀ) · (s · Bᵀ). */
function adaptedValues(
  layers: Layers,
  { module, heads, width }: AbsorbedAttention,
  value: Value,
  valueMatrix: Value,
): Value {
  const g = layers.graph;
  return layers.branches(`${module}.to_out.0`).reduce((sum, { down, up, scale }) => {
    const rank = down.shape[0]!;
    const byHead = g.reshape(g.transpose(g.weight(down), [1, 0]), [heads, width / heads, rank]);
    const inner = g.reshape(g.matMul(value, byHead), [-1, rank]);
    return g.op("Gemm", [inner, g.weight(up), sum], { alpha: scale, transB: 1n });
  }, valueMatrix);
}
