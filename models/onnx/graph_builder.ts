// This module is browser compatible.

/**
 * Builds ONNX graphs whose weights stay where they are: initializers name the checkpoint's own safetensors files, by
 * folder, file, offset and length. The graph itself is a few kilobytes.
 *
 * @module
 */

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { DType } from "../../artifacts/dtype.ts";
import { FLOAT8_VALUES, type Float8DType, isFloat8 } from "../../artifacts/float8.ts";
import { type Tensor, tensor, tensorBytes } from "../../artifacts/tensor.ts";
import type { ModelGraph } from "../../runtime/runtime.ts";
import type { WeightLocation } from "../checkpoint/weights.ts";
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataType as DataType,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "./onnx_pb.ts";
import { DATA_TYPES } from "./data_types.ts";
import {
  type Attribute,
  attribute,
  type BuiltGraph,
  type ComputeType,
  type Dimension,
  externalWeight,
  type Node,
  type NodeAttribute,
  type Value,
  valueInfo,
} from "./graph_parts.ts";
import { weightSlices } from "./weight_slices.ts";
import { weightsFolder } from "./weights_folder.ts";

export type { BuiltGraph, ComputeType, Value } from "./graph_parts.ts";

const ONNX_OPSET = 21n;
const ONNX_IR_VERSION = 10n;
const CONTRIB_DOMAIN = "com.microsoft";

/**
 * Builds one graph. Operators are methods that take and return {@linkcode Value}s; computation is in float32 unless
 * said otherwise, whatever type the weights are stored in.
 *
 * @example A linear layer
 * ```ts
 * import { GraphBuilder } from "./graph_builder.ts";
 * import type { Weights } from "../checkpoint/weights.ts";
 *
 * function linear(weights: Weights) {
 *   const g = new GraphBuilder();
 *   const x = g.input("x", "float32", ["tokens", 8]);
 *   const w = g.weight(weights.locate("linear.weight", [4, 8]));
 *   g.output("y", g.gemm(x, w), ["tokens", 4]);
 *   return g.build("linear");
 * }
 * ```
 */
export class GraphBuilder {
  #nodes: Node[] = [];
  /**
   * Casts of weights. They come first in the graph: of two values that an operator needs, ONNX Runtime computes the one
   * with the later node first, so a cast runs right before its use, and few float32 copies are alive at a time.
   */
  readonly #casts: Node[] = [];
  /** Constants, and weights of the checkpoint, whose folder is known when all of them are. */
  readonly #initializers: (MessageInitShape<typeof TensorProtoSchema> | WeightLocation)[] = [];
  readonly #inputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #outputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #known = new Map<string, Value>();
  readonly #produced = new Set<string>();
  readonly #renamed = new Map<string, string>();
  readonly #exposed: (name: string) => boolean;
  readonly #transposesWeights: boolean;
  #prepareWeights = false;
  #byteProductProbe: ModelGraph | undefined;
  #weightBytes = 0;
  #count = 0;

  /**
   * @param exposed Which of the values marked by {@linkcode GraphBuilder.probe} become outputs. None by default.
   * @param options Whether linear layers transpose their weight before the product, for devices whose product with a
   *   transposed matrix is slow. The result is the same but for rounding.
   */
  constructor(
    exposed: (name: string) => boolean = () => false,
    options: { readonly transposesWeights?: boolean | undefined } = {},
  ) {
    this.#exposed = exposed;
    this.#transposesWeights = options.transposesWeights ?? false;
  }

  /** Declares an input. */
  input(name: string, dtype: DType, dims: readonly Dimension[]): Value {
    this.#inputs.push(valueInfo(name, dtype, dims));
    return { name };
  }

  /** Makes a value an output, under a name of its own. */
  output(name: string, value: Value, dims: readonly Dimension[], dtype: DType = "float32"): void {
    const isFree = this.#produced.has(value.name) && !this.#renamed.has(value.name);
    this.#renamed.set((isFree ? value : this.op("Identity", [value])).name, name);
    this.#outputs.push(valueInfo(name, dtype, dims));
  }

  /** Marks a float32 value that someone may want to look at: an output if `exposed` says so, else nothing. */
  probe(name: string, value: Value, dims: readonly Dimension[]): Value {
    if (this.#exposed(name)) this.output(name, value, dims);
    return value;
  }

  /** A weight of the checkpoint, in the type that is computed in. */
  weight(location: WeightLocation, dtype: ComputeType = "float32"): Value {
    return this.shared(
      `${location.name}:${dtype}`,
      () => this.#toType(this.stored(location), location.dtype, dtype, this.#casts),
    );
  }

  /** A weight of the checkpoint, in the type that it is stored in. */
  stored(location: WeightLocation): Value {
    return this.shared(location.name, () => {
      this.#initializers.push(location);
      this.#weightBytes += location.length;
      return { name: location.name };
    });
  }

  /** Lets weights be prepared once when the graph opens. */
  prepareWeights(): void {
    this.#prepareWeights = true;
  }

  /**
   * Unsigned bytes `x` [rows, in], greater by `zero`, times bytes `weight` [in, out] and `scales` [out], in float32.
   *
   * @param probe Tells the runtime whether such products overflow.
   */
  multiplyBytes(x: Value, zero: Value, weight: Value, scales: Value, probe: ModelGraph): Value {
    this.#byteProductProbe = probe;
    return this.contrib("MatMulIntegerToFloat", [x, weight, this.scalar(1), scales, zero]);
  }

  /** Some rows of a weight [rows, width], as float32: gathered as stored, cast after, so only these are read. */
  rows(location: WeightLocation, indices: Value): Value {
    if (isFloat8(location.dtype)) return this.#float8Rows(location, location.dtype, indices);
    const rows = this.op("Gather", [this.stored(location), indices]);
    return this.#toType(rows, location.dtype, "float32", this.#nodes);
  }

  /** A small tensor that is part of the graph. */
  constant(value: Tensor): Value {
    const name = this.#name("constant");
    this.#initializers.push({
      name,
      dims: value.shape.map(BigInt),
      dataType: DATA_TYPES[value.dtype],
      rawData: tensorBytes(value),
    });
    return { name };
  }

  /** A float32 scalar. */
  scalar(value: number): Value {
    return this.shared(`scalar:${value}`, () => this.constant(tensor("float32", [], Float32Array.of(value))));
  }

  /** A float32 vector. */
  vector(values: readonly number[]): Value {
    const data = Float32Array.from(values);
    return this.shared(`vector:${values}`, () => this.constant(tensor("float32", [values.length], data)));
  }

  /** A vector of int64: a shape, axes, sizes. */
  int64s(values: readonly number[]): Value {
    const data = BigInt64Array.from(values, BigInt);
    return this.shared(`int64s:${values}`, () => this.constant(tensor("int64", [values.length], data)));
  }

  /** Any operator of ONNX with one output. */
  op(
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Record<string, Attribute> = {},
  ): Value {
    return this.#node(type, inputs, attributes, "", 1)[0]!;
  }

  /** A value that several layers use: made once, and found by its key. */
  shared(key: string, make: () => Value): Value {
    const value = this.#known.get(key) ?? make();
    this.#known.set(key, value);
    return value;
  }

  /** Any of ONNX Runtime's own operators with one output. */
  contrib(
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Record<string, Attribute> = {},
  ): Value {
    return this.#node(type, inputs, attributes, CONTRIB_DOMAIN, 1)[0]!;
  }

  /** `x` [rows, in] times the transpose of `weight` [out, in], as linear layers store it, plus `bias` [out]. */
  gemm(x: Value, weight: Value, bias?: Value): Value {
    return this.op("Gemm", [x, weight, bias], { transB: 1n });
  }

  /** Product of matrices, each with the one at its place where there are many: [.., rows, in] · [.., in, columns]. */
  matMul(a: Value, b: Value): Value {
    return this.op("MatMul", [a, b]);
  }

  /** The same as {@linkcode GraphBuilder.gemm} with a weight of the checkpoint; a large one is cast and multiplied slice by slice. All are of one type. */
  linear(x: Value, weight: WeightLocation, bias?: Value, dtype: ComputeType = "float32"): Value {
    const slices = weightSlices(weight, dtype);
    if (slices.length === 1) return this.#product(x, weight, bias, dtype);
    const biases = bias && this.split(bias, 0, slices.map(({ shape }) => shape[0]!));
    const parts = slices.map((slice, index) => this.#product(x, slice, biases?.[index], dtype));
    return this.concat(parts, 1);
  }

  #product(x: Value, weight: WeightLocation, bias: Value | undefined, dtype: ComputeType): Value {
    if (!this.#transposesWeights) return this.gemm(x, this.weight(weight, dtype), bias);
    const transposed = this.shared(
      `${weight.name}:${dtype}:transposed`,
      () => this.transpose(this.weight(weight, dtype), [1, 0]),
    );
    // ONNX Runtime would fuse the transposition into a Gemm again.
    const product = this.matMul(x, transposed);
    return bias ? this.add(product, bias) : product;
  }

  /**
   * Convolution of `x` [1, in, h, w] with `weight` [out, in, kernel, kernel].
   *
   * @param options Step, and rows and columns of zeros at top, left, bottom and right.
   */
  conv(
    x: Value,
    weight: Value,
    bias: Value | undefined,
    options: { readonly stride: bigint; readonly pads: readonly bigint[] },
  ): Value {
    return this.op("Conv", [x, weight, bias], {
      strides: [options.stride, options.stride],
      pads: options.pads,
    });
  }

  /** Normalizes rows to mean 0 and variance 1, then times `scale` plus `shift`, which may depend on the inputs. */
  layerNorm(x: Value, scale: Value, shift: Value, epsilon: number): Value {
    return this.op("LayerNormalization", [x, scale, shift], { axis: -1n, epsilon });
  }

  /** Divides rows by their root mean square, then times `scale`. */
  rmsNorm(x: Value, scale: Value, epsilon: number): Value {
    return this.op("SimplifiedLayerNormalization", [x, scale], { axis: -1n, epsilon });
  }

  /** Sum, with broadcasting. */
  add(a: Value, b: Value): Value {
    return this.op("Add", [a, b]);
  }

  /** Product, with broadcasting. */
  mul(a: Value, b: Value): Value {
    return this.op("Mul", [a, b]);
  }

  /** The larger of x and 0. */
  relu(x: Value): Value {
    return this.op("Relu", [x]);
  }

  /** x times sigmoid(x). */
  silu(x: Value): Value {
    return this.contrib("QuickGelu", [x], { alpha: 1 });
  }

  /** GELU: x times the normal distribution's share below x. */
  gelu(x: Value): Value {
    return this.op("Gelu", [x]);
  }

  /** GELU in its tanh form. */
  geluTanh(x: Value): Value {
    return this.op("Gelu", [x], { approximate: "tanh" });
  }

  /** The same values in another type. */
  cast(x: Value, dtype: ComputeType): Value {
    return this.op("Cast", [x], { to: BigInt(DATA_TYPES[dtype]) });
  }

  /** Swaps axes. */
  transpose(x: Value, permutation: readonly number[]): Value {
    return this.op("Transpose", [x], { perm: permutation.map(BigInt) });
  }

  /** Another shape over the same elements: 0 keeps an axis's size, -1 takes what is left. */
  reshape(x: Value, shape: readonly number[] | Value): Value {
    return this.op("Reshape", [x, isValue(shape) ? shape : this.int64s(shape)]);
  }

  /** The shape of another value over the same elements. */
  reshapeLike(x: Value, like: Value): Value {
    return this.reshape(x, this.op("Shape", [like]));
  }

  /** Cuts an axis into parts of the given sizes. */
  split(x: Value, axis: number, sizes: readonly number[]): Value[] {
    return this.#node("Split", [x, this.int64s(sizes)], { axis: BigInt(axis) }, "", sizes.length);
  }

  /** Cuts an axis into parts of one size. */
  splitEvenly(x: Value, axis: number, parts: number): Value[] {
    return this.#node("Split", [x], { axis: BigInt(axis), num_outputs: BigInt(parts) }, "", parts);
  }

  /** Places of the largest values of a vector, int64 [count], in no order. */
  largest(x: Value, count: number): Value {
    return this.#node("TopK", [x, this.int64s([count])], { axis: 0n, sorted: 0n }, "", 2)[1]!;
  }

  /** Puts values one behind the other. */
  concat(parts: readonly Value[], axis: number): Value {
    return this.op("Concat", parts, { axis: BigInt(axis) });
  }

  /**
   * Attention of many heads over rows: softmax(scale · query · keyᵀ + bias) · value, without ever holding all scores
   * where there is no bias.
   *
   * @param query [query tokens, heads · size].
   * @param key [key tokens, heads · size].
   * @param value [key tokens, heads · size].
   * @param options Number of heads; factor of the scores, 1/√size by default; bias [1, heads, query, key]; how many
   *   sequences of one length the rows hold one behind the other, 1 by default, each of which sees its own keys alone;
   *   how many of the keys of each sequence count, int32 [sequences], all by default.
   * @returns [query tokens, heads · size].
   */
  attention(
    query: Value,
    key: Value,
    value: Value,
    options: { heads: number; scale?: number; bias?: Value; sequences?: number; keyLengths?: Value },
  ): Value {
    const { heads, scale, bias, sequences = 1, keyLengths } = options;
    const batched = [query, key, value].map((rows) => {
      const batch = this.op("Unsqueeze", [rows, this.int64s([0])]);
      return sequences === 1 ? batch : this.reshape(batch, [sequences, -1, 0]);
    });
    const attended = this.contrib(
      "MultiHeadAttention",
      bias
        ? [...batched, undefined, keyLengths, bias]
        : keyLengths
        ? [...batched, undefined, keyLengths]
        : batched,
      { num_heads: BigInt(heads), ...(scale === undefined ? {} : { scale }) },
    );
    const rows = sequences === 1 ? attended : this.reshape(attended, [1, -1, 0]);
    return this.op("Squeeze", [rows, this.int64s([0])]);
  }

  /**
   * One of two values: the other is not computed. Weights and constants of a branch are the graph's, its other values not.
   *
   * @param condition A boolean scalar.
   * @param then Makes the value where the condition holds.
   * @param otherwise Makes the value where it does not; of the same type and shape.
   * @param dtype Their type; `dims` is their shape.
   */
  choose(
    condition: Value,
    then: () => Value,
    otherwise: () => Value,
    dtype: DType,
    dims: readonly Dimension[],
  ): Value {
    const chosen = this.op("If", [condition]);
    this.#nodes.at(-1)!.attribute.push(
      this.#branch("then_branch", then, dtype, dims),
      this.#branch("else_branch", otherwise, dtype, dims),
    );
    return chosen;
  }

  /**
   * The graph as ONNX bytes.
   *
   * @param name What it is, for errors and reports.
   * @param options Whether weights are prepared once when it opens; quantized ones always are.
   */
  build(name: string, options: { readonly prepareWeights?: boolean } = {}): BuiltGraph {
    const weights = this.#initializers.filter((value) => "folder" in value);
    const place = weightsFolder(weights.map(({ folder }) => folder));
    const model = create(ModelProtoSchema, {
      irVersion: ONNX_IR_VERSION,
      opsetImport: [{ domain: "", version: ONNX_OPSET }, { domain: CONTRIB_DOMAIN, version: 1n }],
      graph: {
        name,
        node: [...this.#casts, ...this.#nodes].map((node) => this.#withNames(node)),
        initializer: this.#initializers.map((value) =>
          "folder" in value ? externalWeight(value, place.pathOf(value)) : value
        ),
        input: this.#inputs,
        output: this.#outputs,
      },
    });
    return {
      name,
      bytes: toBinary(ModelProtoSchema, model),
      inputs: this.#inputs.map((input) => input.name!),
      outputs: this.#outputs.map((output) => output.name!),
      weightBytes: this.#weightBytes,
      ...(this.#prepareWeights || options.prepareWeights ? { prepareWeights: true } : {}),
      ...(this.#byteProductProbe ? { byteProductProbe: this.#byteProductProbe } : {}),
      ...(weights.length === 0
        ? {}
        : { weightsFolder: place.folder, weightFiles: [...new Set(weights.map(place.pathOf))] }),
    };
  }

  /** A node, and those of its branches, with the names that outputs were given. */
  #withNames(node: Node): Node {
    const named = (name: string): string => this.#renamed.get(name) ?? name;
    return {
      ...node,
      input: node.input.map(named),
      output: node.output.map(named),
      attribute: node.attribute.map((attribute) =>
        attribute.g
          ? {
            ...attribute,
            g: { ...attribute.g, node: attribute.g.node.map((inner) => this.#withNames(inner)) },
          }
          : attribute
      ),
    };
  }

  /** The nodes of a branch as a graph with one output. */
  #branch(name: string, make: () => Value, dtype: DType, dims: readonly Dimension[]): NodeAttribute {
    const outer = this.#nodes;
    const nodes: Node[] = [];
    this.#nodes = nodes;
    try {
      // A branch gives a value of its own, also where it makes none.
      const value = this.op("Identity", [make()]);
      const g = { name, node: nodes, output: [valueInfo(value.name, dtype, dims)] };
      return { name, type: AttributeType.GRAPH, g };
    } finally {
      this.#nodes = outer;
    }
  }

  /** Rows of 8-bit floats, which Gather does not know: of their bits, each of which is then looked up. */
  #float8Rows(location: WeightLocation, dtype: Float8DType, indices: Value): Value {
    const bits = this.stored({ ...location, name: `${location.name}:bits`, dtype: "uint8" });
    const rows = this.op("Cast", [this.op("Gather", [bits, indices])], { to: BigInt(DataType.INT32) });
    return this.op("Gather", [this.vector([...FLOAT8_VALUES[dtype]]), rows]);
  }

  #node(
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Record<string, Attribute>,
    domain: string,
    outputs: number,
    nodes: Node[] = this.#nodes,
  ): Value[] {
    const name = this.#name(type);
    const output = Array.from({ length: outputs }, (_, index) => index === 0 ? name : `${name}:${index}`);
    output.forEach((name) => this.#produced.add(name));
    nodes.push({
      opType: type,
      name,
      domain,
      input: inputs.map((input) => input?.name ?? ""),
      output,
      attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
    });
    return output.map((name) => ({ name }));
  }

  #toType(value: Value, from: DType, to: ComputeType, nodes: Node[]): Value {
    if (from === to) return value;
    return this.#node("Cast", [value], { to: BigInt(DATA_TYPES[to]) }, "", 1, nodes)[0]!;
  }

  #name(stem: string): string {
    return `${stem}.${this.#count++}`;
  }
}

function isValue(value: object): value is Value {
  return "name" in value;
}
