// This module is browser compatible.

/**
 * The products of a cross-attention with absorbed projections as integer products. The matrices are computed
 * from the text in each run, so they become bytes in each run too.
 *
 * @module
 */

import { bytesOverflow } from "../onnx/byte_product_probe.ts";
import { byteScales, toBytes } from "../onnx/byte_values.ts";
import type { GraphBuilder, Value } from "../onnx/graph_builder.ts";
import { integerProduct } from "../onnx/integer_linear.ts";

/** With fewer text tokens, making bytes takes longer than it saves. */
const LEAST_TEXT_TOKENS = 8;
/** Byte of the largest probability of a row. */
const LARGEST_PROBABILITY = 255;

/**
 * Returns whether integer products pay off for a text and are exact on this processor, a boolean [1].
 *
 * @param g The graph.
 * @param text Rows of the text, [text tokens, width].
 */
export function textPaysOff(g: GraphBuilder, text: Value): Value {
  const tokens = g.op("Shape", [text], { start: 0n, end: 1n });
  const isLong = g.op("GreaterOrEqual", [tokens, g.int64s([LEAST_TEXT_TOKENS])]);
  return g.op("And", [isLong, g.op("Not", [bytesOverflow(g)])]);
}

/**
 * Computes the scores of rows.
 *
 * @param g The graph.
 * @param rows [tokens, width].
 * @param keys [heads · text tokens, width].
 * @param width Number of channels of a row.
 * @param bias [heads · text tokens].
 * @returns [tokens, heads · text tokens].
 */
export function byteScores(
  g: GraphBuilder,
  rows: Value,
  keys: Value,
  width: number,
  bias: Value | undefined,
): Value {
  const scales = byteScales(g, keys, [1]);
  const integers = g.transpose(toBytes(g, keys, scales, "int8"), [1, 0]);
  return integerProduct(g, rows, { integers, scales: g.reshape(scales, [-1]) }, width, { bias });
}

/**
 * Sums values by their probabilities. The mean of each head's values is subtracted first, and added to the
 * result, because probabilities sum to 1. What 8 bits lose then counts as that mean.
 *
 * @param g The graph.
 * @param probabilities [tokens, heads · text tokens].
 * @param values [heads · text tokens, width].
 * @param heads Number of heads.
 * @param width Number of channels of a row.
 * @param bias [width].
 * @returns [tokens, width].
 */
export function byteSums(
  g: GraphBuilder,
  probabilities: Value,
  values: Value,
  heads: number,
  width: number,
  bias: Value,
): Value {
  const byHead = g.reshape(values, [heads, -1, width]);
  const mean = g.op("ReduceMean", [byHead, g.int64s([1])]);
  const distances = g.reshape(g.op("Sub", [byHead, mean]), [-1, width]);
  const scales = byteScales(g, distances, [0]);
  const largest = g.op("ReduceMax", [probabilities, g.int64s([1])]);
  const scaled = g.mul(probabilities, g.op("Div", [g.scalar(LARGEST_PROBABILITY), largest]));
  const sums = g.contrib("MatMulIntegerToFloat", [
    g.op("QuantizeLinear", [scaled, g.scalar(1)]),
    toBytes(g, distances, scales, "int8"),
    g.scalar(1),
    g.mul(g.reshape(scales, [-1]), g.scalar(1 / LARGEST_PROBABILITY)),
  ]);
  const ofMeans = g.op("ReduceSum", [mean, g.int64s([0, 1])], { keepdims: 0n });
  return g.add(g.mul(sums, largest), g.add(ofMeans, bias));
}
