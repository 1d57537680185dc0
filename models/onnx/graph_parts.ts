// This module is browser compatible.

/**
 * The parts of an ONNX graph: nodes with attributes, inputs and outputs, and weights in files.
 *
 * @module
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DType } from "../../artifacts/dtype.ts";
import type { ModelGraph } from "../../runtime/runtime.ts";
import type { WeightLocation } from "../checkpoint/weights.ts";
import { DATA_TYPES } from "./data_types.ts";
import {
  AttributeProto_AttributeType as AttributeType,
  type NodeProtoSchema,
  TensorProto_DataLocation as DataLocation,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "./onnx_pb.ts";

/** A tensor of the graph: an input, a weight, or the output of an operator. */
export interface Value {
  /** Name, unique in the graph. */
  readonly name: string;
}

/** An element type in which graphs compute. */
export type ComputeType = "float32" | "float16";

/** A built graph, with the names of its inputs and outputs. */
export interface BuiltGraph extends ModelGraph {
  /** Names of the inputs. */
  readonly inputs: readonly string[];
  /** Names of the outputs. */
  readonly outputs: readonly string[];
}

/** The size of an axis: a number, or the name of a size that is known only at run time. */
export type Dimension = number | string;

/** A value whose slices along the first axis a loop processes in turn. */
export interface ScanInput {
  /** The value, [slices, ...dims]. */
  readonly value: Value;
  /** Its type. */
  readonly dtype: DType;
  /** Shape of a slice. */
  readonly dims: readonly Dimension[];
}

/** An attribute of a node. */
export interface NodeAttribute {
  readonly name: string;
  readonly type: AttributeType;
  readonly i?: bigint;
  readonly f?: number;
  readonly s?: Uint8Array;
  readonly ints?: bigint[];
  /** The subgraph of a branch or loop. */
  readonly g?: {
    readonly name: string;
    /** Weights that belong to the subgraph. */
    readonly weights: readonly WeightLocation[];
    readonly node: Node[];
    readonly input: MessageInitShape<typeof ValueInfoProtoSchema>[];
    readonly output: MessageInitShape<typeof ValueInfoProtoSchema>[];
  };
}

/** A node of the graph: one operator with its inputs and outputs. */
export interface Node {
  readonly opType: string;
  readonly name: string;
  readonly domain: string;
  readonly input: string[];
  readonly output: string[];
  readonly attribute: NodeAttribute[];
}

/**
 * An operator's attribute. A bigint becomes an ONNX INT, a number a FLOAT, a string a STRING, and an array
 * INTS.
 */
export type Attribute = bigint | number | string | readonly bigint[];

/**
 * Renames values in a node and in the nodes of its subgraphs, and adds the weights of the subgraphs.
 *
 * @param node The node.
 * @param renamed New names; others stay.
 * @param pathOf Returns the path of a weight's file.
 */
export function renamedNode(
  node: Node,
  renamed: ReadonlyMap<string, string>,
  pathOf: (weight: WeightLocation) => string,
): MessageInitShape<typeof NodeProtoSchema> {
  const named = (name: string): string => renamed.get(name) ?? name;
  return {
    ...node,
    input: node.input.map(named),
    output: node.output.map(named),
    attribute: node.attribute.map(({ g, ...attribute }) => {
      if (!g) return attribute;
      const { weights, ...graph } = g;
      const initializer = weights.map((weight) => externalWeight(weight, pathOf(weight)));
      const nodes = graph.node.map((inner) => renamedNode(inner, renamed, pathOf));
      return { ...attribute, g: { ...graph, initializer, node: nodes } };
    }),
  };
}

/** Creates an initializer that references a weight in its file. */
export function externalWeight(
  { name, shape, dtype, offset, length }: WeightLocation,
  path: string,
): MessageInitShape<typeof TensorProtoSchema> {
  return {
    name,
    dims: shape.map(BigInt),
    dataType: DATA_TYPES[dtype],
    dataLocation: DataLocation.EXTERNAL,
    externalData: [
      { key: "location", value: path },
      { key: "offset", value: String(offset) },
      { key: "length", value: String(length) },
    ],
  };
}

/** Describes an input or output. */
export function valueInfo(
  name: string,
  dtype: DType,
  dims: readonly Dimension[],
): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = dims.map((size) => ({
    value: typeof size === "number"
      ? { case: "dimValue" as const, value: BigInt(size) }
      : { case: "dimParam" as const, value: size },
  }));
  return {
    name,
    type: { value: { case: "tensorType", value: { elemType: DATA_TYPES[dtype], shape: { dim } } } },
  };
}

/** Returns whether this is a value instead of a list of values. */
export function isValue(value: object): value is Value {
  return "name" in value;
}

/** Creates an attribute. The type of the value determines the attribute's type. */
export function attribute(name: string, value: Attribute): NodeAttribute {
  switch (typeof value) {
    case "bigint":
      return { name, type: AttributeType.INT, i: value };
    case "number":
      return { name, type: AttributeType.FLOAT, f: value };
    case "string":
      return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) };
    default:
      return { name, type: AttributeType.INTS, ints: [...value] };
  }
}
