// This module is browser compatible.

/**
 * Builds ONNX graphs whose weights stay in place: initializers reference the checkpoint's own safetensors
 * files by folder, file, offset and length. The graph itself is a few kilobytes.
 *
 * @module
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DType } from "../../artifacts/dtype.ts";
import { isFloat8 } from "../../artifacts/float8.ts";
import { type Tensor, tensor, tensorBytes } from "../../artifacts/tensor.ts";
import type { ModelGraph } from "../../runtime/runtime.ts";
import type { WeightLocation } from "../checkpoint/weights.ts";
import { AttributeProto_AttributeType as AttributeType, type ValueInfoProtoSchema } from "./onnx_pb.ts";
import { DATA_TYPES } from "./data_types.ts";
import {
  type Attribute,
  attribute,
  type BuiltGraph,
  type ComputeType,
  type Dimension,
  isValue,
  type Node,
  type NodeAttribute,
  type ScanInput,
  type Value,
  valueInfo,
} from "./graph_parts.ts";
import { float8Rows } from "./float8_rows.ts";
import { CONTRIB_DOMAIN, type Initializer, modelBytes } from "./model_bytes.ts";
import { transposedProduct } from "./transposed_product.ts";
import { weightSlices } from "./weight_slices.ts";
import { weightsFolder } from "./weights_folder.ts";

export type { BuiltGraph, ComputeType, Value } from "./graph_parts.ts";

/**
 * Builds one graph. Operators are methods that accept and return {@linkcode Value}s. Computation is in
 * float32 unless stated otherwise, regardless of the stored type of the weights.
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
   * Casts of weights. They are placed first in the graph: of two inputs of an operator, ONNX Runtime computes
   * the one with the later node first. A cast therefore runs right before its use, and few float32 copies are
   * alive at a time.
   */
  readonly #casts: Node[] = [];
  /** Constants, and weights of the checkpoint, whose base folder is known only once all weights are. */
  readonly #initializers: Initializer[] = [];
  /** Weights of the graph and its subgraphs. */
  readonly #weights: WeightLocation[] = [];
  /** Weights that belong to the subgraph that is being built. */
  #subgraphWeights: WeightLocation[] | undefined;
  readonly #inputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #outputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #shapes: MessageInitShape<typeof ValueInfoProtoSchema>[] = [];
  readonly #known = new Map<string, Value>();
  readonly #produced = new Set<string>();
  readonly #renamed = new Map<string, string>();
  readonly #exposed: (name: string) => boolean;
  readonly #transposesWeights: boolean;
  #prepareWeights = false;
  #multipliesFloats = false;
  #byteProductProbe: ModelGraph | undefined;
  #weightBytes = 0;
  #count = 0;

  /**
   * @param exposed Selects the values marked by {@linkcode GraphBuilder.probe} that become outputs; none by
   *   default.
   * @param options Whether linear layers transpose their weight before the product, for devices that are slow
   *   at products with a transposed matrix. The result is the same up to rounding.
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

  /** Declares a value as an output under a separate name. */
  output(name: string, value: Value, dims: readonly Dimension[], dtype: DType = "float32"): void {
    const isFree = this.#produced.has(value.name) && !this.#renamed.has(value.name);
    this.#renamed.set((isFree ? value : this.op("Identity", [value])).name, name);
    this.#outputs.push(valueInfo(name, dtype, dims));
  }

  /** Declares the shape of a float32 value that ONNX Runtime cannot infer, so that it can reuse its memory. */
  shaped(value: Value, dims: readonly Dimension[]): Value {
    this.#shapes.push(valueInfo(value.name, "float32", dims));
    return value;
  }

  /** Marks a float32 value for inspection. It becomes an output only if `exposed` selects it. */
  probe(name: string, value: Value, dims: readonly Dimension[]): Value {
    if (this.#exposed(name)) this.output(name, value, dims);
    return value;
  }

  /** Returns a weight of the checkpoint, cast to the compute type. */
  weight(location: WeightLocation, dtype: ComputeType = "float32"): Value {
    return this.shared(
      `${location.name}:${dtype}`,
      () => this.#toType(this.#stored(location, this.#initializers), location.dtype, dtype, this.#casts),
    );
  }

  /**
   * Returns a weight of the checkpoint in its stored type. It belongs to the subgraph that first uses it:
   * ONNX Runtime makes signed weights of integer products unsigned only in the graph of the product.
   */
  stored(location: WeightLocation): Value {
    return this.#stored(location, this.#subgraphWeights ?? this.#initializers);
  }

  /** Requests that weights be prepared once when the graph opens. */
  prepareWeights(): void {
    this.#prepareWeights = true;
  }

  /** Declares products of unsigned with signed bytes. `probe` tells the runtime whether they overflow. */
  multipliesBytes(probe: ModelGraph): void {
    this.#byteProductProbe = probe;
  }

  /** Gathers rows of a weight [rows, width], and casts them to float32. Only these rows are read. */
  rows(location: WeightLocation, indices: Value): Value {
    if (isFloat8(location.dtype)) return float8Rows(this, location, location.dtype, indices);
    const rows = this.op("Gather", [this.stored(location), indices]);
    return this.#toType(rows, location.dtype, "float32", this.#nodes);
  }

  /** Adds a small tensor that is stored in the graph itself. */
  constant(value: Tensor): Value {
    const name = `constant.${this.#count++}`;
    this.#initializers.push({
      name,
      dims: value.shape.map(BigInt),
      dataType: DATA_TYPES[value.dtype],
      rawData: tensorBytes(value),
    });
    return { name };
  }

  /** Adds a float32 scalar. */
  scalar(value: number): Value {
    return this.shared(`scalar:${value}`, () => this.constant(tensor("float32", [], Float32Array.of(value))));
  }

  /** Adds a float32 vector. */
  vector(values: readonly number[]): Value {
    const data = Float32Array.from(values);
    return this.shared(`vector:${values}`, () => this.constant(tensor("float32", [values.length], data)));
  }

  /** Adds a vector of int64: a shape, axes, or sizes. */
  int64s(values: readonly number[]): Value {
    const data = BigInt64Array.from(values, BigInt);
    return this.shared(`int64s:${values}`, () => this.constant(tensor("int64", [values.length], data)));
  }

  /** Adds any ONNX operator with one output. */
  op(
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Record<string, Attribute> = {},
  ): Value {
    return this.#node(type, inputs, attributes, "", 1)[0]!;
  }

  /** Returns a value that several layers share. It is created once per key. */
  shared(key: string, make: () => Value): Value {
    const value = this.#known.get(key) ?? make();
    this.#known.set(key, value);
    return value;
  }

  /** Adds any of ONNX Runtime's own operators with one output. */
  contrib(
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Record<string, Attribute> = {},
  ): Value {
    return this.#node(type, inputs, attributes, CONTRIB_DOMAIN, 1)[0]!;
  }

  /**
   * Multiplies `x` [rows, in] with the transpose of `weight` [out, in], the layout of linear layers, and adds
   * `bias` [out].
   */
  gemm(x: Value, weight: Value, bias?: Value): Value {
    if (!this.#transposesWeights) return this.op("Gemm", [x, weight, bias], { transB: 1n });
    const product = this.matMul(x, this.transpose(weight, [1, 0]));
    return bias ? this.add(product, bias) : product;
  }

  /** Multiplies matrices, batched over leading axes: [.., rows, in] · [.., in, columns]. */
  matMul(a: Value, b: Value): Value {
    return this.op("MatMul", [a, b]);
  }

  /**
   * Like {@linkcode GraphBuilder.gemm}, but with a weight of the checkpoint. A large weight is cast and
   * multiplied by slice. All operands have one type.
   *
   * @param stored Type in which a weight stays in memory if linear layers transpose theirs.
   */
  linear(
    x: Value,
    weight: WeightLocation,
    bias?: Value,
    dtype: ComputeType = "float32",
    stored: ComputeType = dtype,
  ): Value {
    this.#multipliesFloats = true;
    const product = (slice: WeightLocation, added?: Value): Value => {
      if (!this.#transposesWeights) return this.gemm(x, this.weight(slice, dtype), added);
      return transposedProduct(this, x, slice, added, dtype, stored);
    };
    const slices = weightSlices(weight, dtype);
    if (slices.length === 1) return product(weight, bias);
    const biases = bias && this.split(bias, 0, slices.map(({ shape }) => shape[0]!));
    return this.concat(slices.map((slice, index) => product(slice, biases?.[index])), 1);
  }

  /**
   * Convolves `x` [1, in, h, w] with `weight` [out, in, kernel, kernel].
   *
   * @param options Stride, and zero padding at top, left, bottom and right.
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

  /**
   * Normalizes rows to mean 0 and variance 1, multiplies by `scale`, and adds `shift`. Both can depend on the
   * inputs.
   */
  layerNorm(x: Value, scale: Value, shift: Value, epsilon: number): Value {
    return this.op("LayerNormalization", [x, scale, shift], { axis: -1n, epsilon });
  }

  /** Divides rows by their root mean square, and multiplies by `scale`. */
  rmsNorm(x: Value, scale: Value, epsilon: number): Value {
    return this.op("SimplifiedLayerNormalization", [x, scale], { axis: -1n, epsilon });
  }

  /** Adds two values with broadcasting. */
  add(a: Value, b: Value): Value {
    return this.op("Add", [a, b]);
  }

  /** Multiplies two values with broadcasting. */
  mul(a: Value, b: Value): Value {
    return this.op("Mul", [a, b]);
  }

  /** Applies ReLU: max(x, 0). */
  relu(x: Value): Value {
    return this.op("Relu", [x]);
  }

  /** Applies SiLU: x · sigmoid(x). */
  silu(x: Value): Value {
    return this.contrib("QuickGelu", [x], { alpha: 1 });
  }

  /** Applies GELU: x · Φ(x), with Φ the standard normal distribution function. */
  gelu(x: Value): Value {
    return this.op("Gelu", [x]);
  }

  /** Applies the tanh approximation of GELU. */
  geluTanh(x: Value): Value {
    return this.op("Gelu", [x], { approximate: "tanh" });
  }

  /** Casts values to another type. */
  cast(x: Value, dtype: DType): Value {
    return this.op("Cast", [x], { to: BigInt(DATA_TYPES[dtype]) });
  }

  /** Permutes axes. */
  transpose(x: Value, permutation: readonly number[]): Value {
    return this.op("Transpose", [x], { perm: permutation.map(BigInt) });
  }

  /** Reshapes a value. 0 keeps the size of an axis; -1 infers it from the remaining elements. */
  reshape(x: Value, shape: readonly number[] | Value): Value {
    return this.op("Reshape", [x, isValue(shape) ? shape : this.int64s(shape)]);
  }

  /** Reshapes a value to the shape of another. */
  reshapeLike(x: Value, like: Value): Value {
    return this.reshape(x, this.op("Shape", [like]));
  }

  /** Splits an axis into parts of the given sizes. */
  split(x: Value, axis: number, sizes: readonly number[]): Value[] {
    return this.#node("Split", [x, this.int64s(sizes)], { axis: BigInt(axis) }, "", sizes.length);
  }

  /** Splits an axis into parts of equal size. */
  splitEvenly(x: Value, axis: number, parts: number): Value[] {
    return this.#node("Split", [x], { axis: BigInt(axis), num_outputs: BigInt(parts) }, "", parts);
  }

  /** Returns the largest values of a vector, in descending order, and their indices, int64 [count]. */
  largest(x: Value, count: number): { readonly values: Value; readonly indices: Value } {
    const [values, indices] = this.#node("TopK", [x, this.int64s([count])], { axis: 0n }, "", 2);
    return { values: values!, indices: indices! };
  }

  /** Concatenates values along an axis. */
  concat(parts: readonly Value[], axis: number): Value {
    return this.op("Concat", parts, { axis: BigInt(axis) });
  }

  /**
   * Computes only one of two values, depending on a condition. Constants of a branch, and weights that it
   * casts, belong to the graph; its other values do not.
   *
   * @param condition A boolean scalar.
   * @param then Builds the value for a true condition.
   * @param otherwise Builds the value for a false condition, with the same type and shape.
   * @param dtype Type of both values.
   * @param dims Shape of both values.
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
      this.#subgraph("then_branch", then, valueInfo("", dtype, dims)),
      this.#subgraph("else_branch", otherwise, valueInfo("", dtype, dims)),
    );
    return chosen;
  }

  /**
   * Runs the same nodes on each slice of its inputs along the first axis, one after the other. Only one
   * slice's inner values are in memory at a time.
   *
   * @param inputs The inputs, which have the same number of slices.
   * @param body Builds the result of a slice, float32.
   * @param dims Shape of the result of a slice.
   * @returns The results, [slices, ...dims].
   */
  scan(
    inputs: readonly ScanInput[],
    body: (...slices: Value[]) => Value,
    dims: readonly Dimension[],
  ): Value {
    const scanned = this.op("Scan", inputs.map(({ value }) => value), {
      num_scan_inputs: BigInt(inputs.length),
    });
    const node = this.#nodes.at(-1)!;
    const slices = inputs.map(({ dtype, dims }) => valueInfo(`slice.${this.#count++}`, dtype, dims));
    const values = slices.map(({ name = "" }) => ({ name }));
    node.attribute.push(
      this.#subgraph("body", () => body(...values), valueInfo("", "float32", dims), slices),
    );
    return scanned;
  }

  /**
   * Serializes the graph to ONNX.
   *
   * @param name Name for errors and reports.
   * @param options Whether weights are prepared once when the graph opens. Quantized weights always are.
   */
  build(name: string, options: { readonly prepareWeights?: boolean } = {}): BuiltGraph {
    const weights = this.#weights;
    const place = weightsFolder(weights.map(({ folder }) => folder));
    return {
      name,
      bytes: modelBytes({
        name,
        nodes: [...this.#casts, ...this.#nodes],
        initializers: this.#initializers,
        inputs: this.#inputs,
        outputs: this.#outputs,
        shapes: this.#shapes,
        renamed: this.#renamed,
        pathOf: place.pathOf,
      }),
      inputs: this.#inputs.map((input) => input.name!),
      outputs: this.#outputs.map((output) => output.name!),
      weightBytes: this.#weightBytes,
      ...(this.#prepareWeights || options.prepareWeights ? { prepareWeights: true } : {}),
      ...(this.#multipliesFloats ? { multipliesFloats: true } : {}),
      ...(this.#byteProductProbe ? { byteProductProbe: this.#byteProductProbe } : {}),
      ...(weights.length === 0
        ? {}
        : { weightsFolder: place.folder, weightFiles: [...new Set(weights.map(place.pathOf))] }),
    };
  }

  /** Builds a subgraph with one output, of the given type. */
  #subgraph(
    name: string,
    make: () => Value,
    output: MessageInitShape<typeof ValueInfoProtoSchema>,
    input: MessageInitShape<typeof ValueInfoProtoSchema>[] = [],
  ): NodeAttribute {
    const [outer, outerWeights] = [this.#nodes, this.#subgraphWeights];
    const [nodes, weights]: [Node[], WeightLocation[]] = [[], []];
    [this.#nodes, this.#subgraphWeights] = [nodes, weights];
    try {
      const made = make();
      // A subgraph must output a value of its own. Only one that passes a value through has to copy it.
      const value = nodes.some(({ output }) => output.includes(made.name))
        ? made
        : this.op("Identity", [made]);
      const g = { name, weights, node: nodes, input, output: [{ ...output, name: value.name }] };
      return { name, type: AttributeType.GRAPH, g };
    } finally {
      [this.#nodes, this.#subgraphWeights] = [outer, outerWeights];
      // The rest of the graph does not see the values of a subgraph.
      const own = new Set([...nodes.flatMap(({ output }) => output), ...weights.map(({ name }) => name)]);
      for (const [key, { name }] of this.#known) if (own.has(name)) this.#known.delete(key);
    }
  }

  #stored(location: WeightLocation, owner: Initializer[]): Value {
    return this.shared(location.name, () => {
      owner.push(location);
      this.#weights.push(location);
      this.#weightBytes += location.length;
      return { name: location.name };
    });
  }

  #node(
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Record<string, Attribute>,
    domain: string,
    outputs: number,
    nodes: Node[] = this.#nodes,
  ): Value[] {
    const name = `${type}.${this.#count++}`;
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
}
