// This module is browser compatible.

/**
 * Serializes the parts of a graph as an ONNX model.
 *
 * @module
 */

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { WeightLocation } from "../checkpoint/weights.ts";
import { externalWeight, type Node, renamedNode } from "./graph_parts.ts";
import { ModelProtoSchema, type TensorProtoSchema, type ValueInfoProtoSchema } from "./onnx_pb.ts";

/** Domain of ONNX Runtime's own operators. */
export const CONTRIB_DOMAIN = "com.microsoft";
const ONNX_OPSET = 21n;
const ONNX_IR_VERSION = 10n;

/** A constant, or a weight in a file. */
export type Initializer = MessageInitShape<typeof TensorProtoSchema> | WeightLocation;

/** The parts of a model. */
export interface ModelParts {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly initializers: readonly Initializer[];
  readonly inputs: MessageInitShape<typeof ValueInfoProtoSchema>[];
  readonly outputs: MessageInitShape<typeof ValueInfoProtoSchema>[];
  /** Values whose shape ONNX Runtime cannot infer. */
  readonly shapes: MessageInitShape<typeof ValueInfoProtoSchema>[];
  /** New names of values. */
  readonly renamed: ReadonlyMap<string, string>;
  /** Returns the path of a weight's file. */
  readonly pathOf: (weight: WeightLocation) => string;
}

/** Serializes a model to ONNX. */
export function modelBytes(parts: ModelParts): Uint8Array {
  const { name, nodes, initializers, inputs, outputs, shapes, renamed, pathOf } = parts;
  const model = create(ModelProtoSchema, {
    irVersion: ONNX_IR_VERSION,
    opsetImport: [{ domain: "", version: ONNX_OPSET }, { domain: CONTRIB_DOMAIN, version: 1n }],
    graph: {
      name,
      node: nodes.map((node) => renamedNode(node, renamed, pathOf)),
      initializer: initializers.map((value) =>
        "folder" in value ? externalWeight(value, pathOf(value)) : value
      ),
      input: inputs,
      output: outputs,
      valueInfo: shapes,
    },
  });
  return toBinary(ModelProtoSchema, model);
}
