// This module is browser compatible.

/**
 * Nearest-neighbour upsampling to twice the size followed by a convolution with a kernel of 3, computed as
 * four convolutions with kernels of 2 over the small feature maps, one per parity of row and column. The
 * upsampled points are never created, and four of nine products remain.
 *
 * @module
 */

import { tensor } from "../../artifacts/tensor.ts";
import type { ComputeType, GraphBuilder, Value } from "../onnx/graph_builder.ts";

/** Rows of the kernel that fall on the same small row, for even and for odd rows of the result. */
const FOLDS = [[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]] as const;
const PARITIES = [0, 1] as const;
/** Size of the kernel and of a folded kernel. */
const KERNEL = 3;
const FOLDED = 2;

/**
 * Upsamples feature maps to twice the size and convolves them, with zero padding of 1.
 *
 * @param graph The graph.
 * @param x [1, input, h, w].
 * @param weight [output, input, 3, 3].
 * @param bias [output].
 * @param channels Number of input and output channels.
 * @param dtype Type of all values.
 * @returns [1, output, 2h, 2w].
 */
export function upsampleConv(
  graph: GraphBuilder,
  x: Value,
  weight: Value,
  bias: Value | undefined,
  channels: { readonly input: number; readonly output: number },
  dtype: ComputeType = "float32",
): Value {
  const { input, output } = channels;
  const matrix = dtype === "float32" ? foldings(graph) : graph.cast(foldings(graph), dtype);
  const folded = graph.op("MatMul", [graph.reshape(weight, [-1, KERNEL ** 2]), matrix]);
  const kernels = graph.split(folded, 1, Array(4).fill(FOLDED ** 2));
  const quarters = PARITIES.flatMap((row) =>
    PARITIES.map((column) =>
      graph.conv(x, graph.reshape(kernels[2 * row + column]!, [output, input, FOLDED, FOLDED]), bias, {
        stride: 1n,
        pads: [1 - row, 1 - column, row, column].map(BigInt),
      })
    )
  );
  return graph.op("DepthToSpace", [graph.op("Concat", quarters, { axis: 1n })], {
    blocksize: 2n,
    mode: "DCR",
  });
}

/** Returns the matrix [9, 16] that maps a kernel to its four folded kernels, concatenated. */
function foldings(graph: GraphBuilder): Value {
  const columns = PARITIES.flatMap((row) =>
    PARITIES.flatMap((column) =>
      FOLDS[row].flatMap((rows) =>
        FOLDS[column].map((columns) => rows.flatMap((row) => columns.map((column) => row * column)))
      )
    )
  );
  const data = Float32Array.from({ length: KERNEL ** 2 * columns.length }, (_, index) => {
    const tap = Math.floor(index / columns.length);
    return columns[index % columns.length]![tap]!;
  });
  return graph.constant(tensor("float32", [KERNEL ** 2, columns.length], data));
}
