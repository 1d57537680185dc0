// This module is browser compatible.

/**
 * The values of an attention whose scores are products of bytes, in float32 or in bytes.
 *
 * Attention weights in bytes have one scale per head and query, and values one per channel. A mean of values
 * is subtracted first, and added to the result, because attention weights sum to 1. Bytes lose the weights
 * below a 510th of the largest one. What they weigh then counts as if it were evenly distributed over all
 * values. Where many small weights would be lost, the weights therefore stay in float32.
 *
 * @module
 */

import { byteScales, padded, sampledMean, toBytes } from "./byte_values.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";
import type { ScanInput } from "./graph_parts.ts";

/** Value of an attention weight's byte, relative to the largest weight of the query. */
const WEIGHT_UNIT = 1 / 255;
/** Largest average fraction of a query's weights that a head may lose in 8 bits. */
const MOST_LOST = 0.1;

/** The type of attention weights and of the values that they multiply. */
export type AttentionWeights = "bytes" | "float32";

/** The values of a loop over groups of heads, and what it does with them. */
export interface AttendedValues {
  /** Inputs of the loop. */
  readonly inputs: readonly ScanInput[];
  /**
   * Lets the queries of a group attend to their slices of the inputs. `weigh` runs a function, which returns
   * sums of values, on the scores of each part of the queries.
   */
  readonly attend: (
    weigh: (sum: (scores: Value) => Value) => Value,
    slices: readonly Value[],
  ) => Value;
  /** What was subtracted from the values, [1, heads · size]. */
  readonly mean?: Value;
}

/** Returns values in float32. */
export function floatValues(
  g: GraphBuilder,
  values: Value,
  size: number,
  inGroups: (byHead: Value) => Value,
): AttendedValues {
  return {
    inputs: [{
      value: inGroups(g.transpose(values, [1, 0, 2])),
      dtype: "float32",
      dims: ["heads", "keys", size],
    }],
    attend: (weigh, [values]) => weigh((scores) => weightedSums(g, scores, values!)),
  };
}

/** Returns values in bytes, for attention weights in bytes unless they would lose many small weights. */
export function byteValues(
  g: GraphBuilder,
  value: Value,
  { heads, size, padding, keyCount, inGroups, sampledScores }: {
    readonly heads: number;
    readonly size: number;
    /** Number of values that are appended. */
    readonly padding: number;
    /** Number of values with padding, int64 [1]. */
    readonly keyCount: Value;
    /** Splits the first axis, that of the heads, into groups. */
    readonly inGroups: (byHead: Value, ...shape: Value[]) => Value;
    /** Computes the scores of a sample of the queries, [heads, queries, keys]. */
    readonly sampledScores: () => Value;
  },
): AttendedValues {
  const mean = sampledMean(g, value);
  const values = g.op("Sub", [value, mean]);
  const units = byteScales(g, values, [0]);
  const bytes = g.reshape(toBytes(g, values, units, "int8"), [-1, heads, size]);
  const bytesOfHeads = padded(g, g.transpose(bytes, [1, 0, 2]), [0, padding, 0]);
  const losesLittle = g.op("Greater", [
    g.op("ReduceMin", [inGroups(keptWeights(g, sampledScores())), g.int64s([1])]),
    g.scalar(1 - MOST_LOST),
  ]);
  const sizes = g.int64s([size]);
  return {
    inputs: [
      { value: inGroups(bytesOfHeads, keyCount, sizes), dtype: "int8", dims: ["heads", "keys", size] },
      {
        value: inGroups(g.reshape(units, [heads, 1, size]), g.int64s([1]), sizes),
        dtype: "float32",
        dims: ["heads", 1, size],
      },
      { value: losesLittle, dtype: "bool", dims: [1] },
    ],
    attend: (weigh, slices) => {
      const [values, units, losesLittle] = slices as [Value, Value, Value];
      const integer = () => {
        const sumUnits = g.mul(units, g.scalar(WEIGHT_UNIT));
        return weigh((scores) => {
          const weights = unnormalizedWeights(g, scores);
          const bytes = g.op("QuantizeLinear", [weights, g.scalar(WEIGHT_UNIT)]);
          const sums = g.contrib("MatMulIntegerToFloat", [bytes, values, g.scalar(1), sumUnits]);
          return g.op("Div", [sums, total(g, weights)]);
        });
      };
      const exact = () => {
        const exactValues = g.mul(g.cast(values, "float32"), units);
        return weigh((scores) => weightedSums(g, scores, exactValues));
      };
      return g.choose(losesLittle, integer, exact, "float32", ["parts", "heads", "queries", size]);
    },
    mean,
  };
}

/** Computes attention weights from scores, and sums values with them, in float32. */
function weightedSums(g: GraphBuilder, scores: Value, values: Value): Value {
  return g.matMul(g.op("Softmax", [scores], { axis: -1n }), values);
}

/**
 * Returns attention weights relative to the largest one of each query, which is 1. They are not divided by their
 * sum, so bytes cover their range without another pass.
 */
function unnormalizedWeights(g: GraphBuilder, scores: Value): Value {
  return g.op("Exp", [g.op("Sub", [scores, g.op("ReduceMax", [scores, g.int64s([2])])])]);
}

/** Sums the weights of each query, [heads, queries, 1]. */
function total(g: GraphBuilder, weights: Value): Value {
  return g.op("ReduceSum", [weights, g.int64s([2])]);
}

/** Returns the fraction of a head's weights that remains in 8 bits, averaged over its queries, [heads]. */
function keptWeights(g: GraphBuilder, scores: Value): Value {
  const weights = unnormalizedWeights(g, scores);
  const bytes = g.op("Round", [g.mul(weights, g.scalar(1 / WEIGHT_UNIT))]);
  const kept = g.op("Div", [g.mul(total(g, bytes), g.scalar(WEIGHT_UNIT)), total(g, weights)]);
  return g.op("ReduceMean", [kept, g.int64s([1, 2])], { keepdims: 0n });
}
