// This module is browser compatible.

/**
 * A probe for overflow in a CPU's products of bytes. On x86 without VNNI, pairs of unsigned × signed products
 * are summed in 16 bits, where large sums saturate.
 *
 * @module
 */

import { tensor } from "../../artifacts/tensor.ts";
import type { ModelGraph } from "../../runtime/runtime.ts";
import { GraphBuilder, type Value } from "./graph_builder.ts";

const ROWS = 2;
const COLUMNS = 16;
const DEPTH = 64;
const LARGEST_UNSIGNED = 255;
const LARGEST_SIGNED = 127;

let probe: ModelGraph | undefined;

/**
 * Returns a graph without inputs that multiplies the largest bytes. Its output `overflows` [1] reports
 * whether the result is too small. All layers share one graph.
 */
export function byteProductProbe(): ModelGraph {
  return probe ??= buildProbe();
}

/**
 * Adds a product of the largest bytes to a graph.
 *
 * @param g The graph.
 * @returns Whether the result is too small, a boolean [1].
 */
export function bytesOverflow(g: GraphBuilder): Value {
  return g.shared("bytes overflow", () => largestProductOverflows(g));
}

function largestProductOverflows(g: GraphBuilder): Value {
  const largest = g.constant(tensor("int8", [1], Int8Array.of(LARGEST_SIGNED)));
  const product = g.op("MatMulInteger", [
    g.constant(tensor("uint8", [ROWS, DEPTH], new Uint8Array(ROWS * DEPTH).fill(LARGEST_UNSIGNED))),
    // ONNX Runtime can make constants unsigned, which would hide the overflow.
    g.op("Expand", [largest, g.int64s([DEPTH, COLUMNS])]),
  ]);
  const least = g.op("ReduceMin", [g.cast(product, "float32"), g.int64s([0, 1])], { keepdims: 0n });
  const exact = g.scalar(DEPTH * LARGEST_UNSIGNED * LARGEST_SIGNED);
  return g.reshape(g.op("Less", [least, exact]), [1]);
}

function buildProbe(): ModelGraph {
  const g = new GraphBuilder();
  g.output("overflows", bytesOverflow(g), [1], "bool");
  return g.build("byte_product_probe");
}
