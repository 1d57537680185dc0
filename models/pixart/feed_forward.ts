// This module is browser compatible.

/**
 * The feed-forward layer of a transformer block. Its activations are four times as wide as the rows, so a CPU
 * processes a picture in parts that fit its cache.
 *
 * @module
 */

import type { Layers } from "../layers.ts";
import type { Value } from "../onnx/graph_builder.ts";
import { integerRowsInParts } from "../onnx/integer_linear.ts";

/** The parameters of a feed-forward layer. */
export interface FeedForward {
  /** The module that contains `net.0.proj` and `net.2`. */
  readonly module: string;
  /** Number of channels of a row. */
  readonly width: number;
  /** Name of the activation. */
  readonly activation: "gelu" | "gelu-approximate";
  /** What the result is multiplied by, [width]. */
  readonly gate?: Value | undefined;
  /** Number of equal parts of the rows, int64 [1]. By default, all rows are processed at once. */
  readonly parts?: Value | undefined;
  /** Whether the layers multiply bytes. */
  readonly multipliesBytes: boolean;
}

/** Applies linear, GELU, linear to rows [tokens, width]. */
export function feedForward(layers: Layers, rows: Value, options: FeedForward): Value {
  const { width, parts, multipliesBytes } = options;
  if (!parts) return feed(layers, rows, options);
  const g = layers.graph;
  const dims = ["part_rows", width] as const;
  const value = g.reshape(rows, g.concat([parts, g.int64s([-1, width])], 0));
  const integers = multipliesBytes ? integerRowsInParts(g, rows, width, parts) : undefined;
  const fed = g.scan(
    [{ value, dtype: "float32", dims }, ...integers?.inputs ?? []],
    (part, ...slices) => {
      integers?.assign(part!, slices);
      return feed(layers, part!, options);
    },
    dims,
  );
  return g.reshape(fed, [-1, width]);
}

function feed(layers: Layers, rows: Value, { module, width, activation, gate, parts }: FeedForward): Value {
  const g = layers.graph;
  const inner = layers.linear(`${module}.net.0.proj`, rows, width, 4 * width);
  const activated = activation === "gelu" ? g.gelu(inner) : g.geluTanh(inner);
  return layers.linear(`${module}.net.2`, activated, 4 * width, width, { gate, afterGelu: true, parts });
}
