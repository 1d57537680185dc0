// This module is browser compatible.

/**
 * Gathers rows of 8-bit floats, which ONNX's Gather does not support.
 *
 * @module
 */

import { FLOAT8_VALUES, type Float8DType } from "../../artifacts/float8.ts";
import type { WeightLocation } from "../checkpoint/weights.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";
import { TensorProto_DataType as DataType } from "./onnx_pb.ts";

/**
 * Gathers the bits of rows and looks each value up in a table.
 *
 * @param g The graph.
 * @param location The weight [rows, width].
 * @param dtype Its type.
 * @param indices Indices of the rows.
 * @returns The rows, in float32.
 */
export function float8Rows(
  g: GraphBuilder,
  location: WeightLocation,
  dtype: Float8DType,
  indices: Value,
): Value {
  const bits = g.stored({ ...location, name: `${location.name}:bits`, dtype: "uint8" });
  const rows = g.op("Cast", [g.op("Gather", [bits, indices])], { to: BigInt(DataType.INT32) });
  return g.op("Gather", [g.vector([...FLOAT8_VALUES[dtype]]), rows]);
}
