// This module is browser compatible.

/**
 * Graph layers that follow the naming of checkpoints: a module's weights are stored under the module's name.
 *
 * @module
 */

import type { Weights } from "./checkpoint/weights.ts";
import type { LowRankBranch } from "./lora/branch.ts";
import { addConvBranches, addLinearBranches, mergedMatrix } from "./lora/branch_layers.ts";
import type { ComputeType, GraphBuilder, Value } from "./onnx/graph_builder.ts";
import { castInRun } from "./onnx/transposed_product.ts";
import { dequantized, quantizedLinear, type ScaledMatrix, scaledMatrix } from "./onnx/quantized_linear.ts";
import { upsampleConv } from "./vae/upsample_conv.ts";

/** Options of a linear layer. */
export interface LinearOptions {
  /**
   * Whether the layer has a bias.
   *
   * @default {true}
   */
  readonly bias?: boolean;
  /** What the result is multiplied by, [out]. */
  readonly gate?: Value | undefined;
  /**
   * Whether the rows come from GELU, whose least value is -0.17. Bytes then represent them more exactly.
   *
   * @default {false}
   */
  readonly afterGelu?: boolean;
  /** Number of equal parts of a picture, int64 [1], if the rows are one of them. */
  readonly parts?: Value | undefined;
}

/** Options of a convolution. */
export interface ConvOptions {
  /** Number of input channels. */
  readonly input: number;
  /** Number of output channels. */
  readonly output: number;
  /**
   * Height and width of the kernel.
   *
   * @default {3}
   */
  readonly kernel?: number;
  /**
   * Stride of the kernel.
   *
   * @default {1n}
   */
  readonly stride?: bigint;
  /** Zero padding at top, left, bottom and right. The default is 1 each for a kernel of 3, otherwise none. */
  readonly pads?: readonly bigint[];
  /**
   * Whether the convolution has a bias.
   *
   * @default {true}
   */
  readonly bias?: boolean;
}

/** Adds layers of one component to a graph and looks up their weights by name. */
export class Layers {
  /** The graph to which layers are added. */
  readonly graph: GraphBuilder;
  readonly #weights: Weights;
  readonly #dtype: ComputeType;
  readonly #stored: ComputeType;

  /**
   * @param graph The graph to which layers are added.
   * @param weights The component's weights.
   * @param dtype Input, compute and output type of the layers.
   * @param stored Type in which the weights of linear layers stay in memory if the graph transposes them.
   */
  constructor(
    graph: GraphBuilder,
    weights: Weights,
    dtype: ComputeType = "float32",
    stored: ComputeType = dtype,
  ) {
    this.graph = graph;
    this.#weights = weights;
    this.#dtype = dtype;
    this.#stored = stored;
  }

  /** Returns a weight by name and checks its shape. */
  weight(name: string, shape: readonly number[]): Value {
    const location = this.#weights.locate(name, shape);
    return location.quantized ? dequantized(this.graph, location) : this.graph.weight(location, this.#dtype);
  }

  /**
   * Returns a weight [out, in] for a product with `x`. If it is quantized, the scales of its rows are separate.
   */
  scaledMatrix(name: string, shape: readonly [output: number, input: number], x: Value): ScaledMatrix {
    const location = this.#weights.locate(name, shape);
    if (location.quantized) return scaledMatrix(this.graph, location);
    const stored = this.graph.weight(location, this.#stored);
    return {
      values: this.#stored === this.#dtype ? stored : castInRun(this.graph, stored, x, shape, this.#dtype),
    };
  }

  /** Returns the low-rank branches of a module. */
  branches(module: string): readonly LowRankBranch[] {
    return this.#weights.branches?.(module) ?? [];
  }

  /** Returns the matrix of a linear layer with its low-rank branches merged in. */
  matrix(module: string, shape: readonly [output: number, input: number]): Value {
    const branches = this.branches(module);
    const name = `${module}.weight`;
    if (branches.length === 0) return this.weight(name, shape);
    const location = this.#weights.locate(name, shape);
    const base = location.quantized ? dequantized(this.graph, location) : this.graph.weight(location);
    return mergedMatrix(this.graph, base, branches, this.#dtype);
  }

  /**
   * Adds a linear layer over rows [rows, in], with its low-rank branches.
   *
   * @param module Name of the module.
   * @param x Rows [rows, in].
   * @param input Number of input channels.
   * @param output Number of output channels.
   * @param options Bias, gate, and what is known of the rows.
   * @returns Rows [rows, out].
   */
  linear(module: string, x: Value, input: number, output: number, options: LinearOptions = {}): Value {
    const { bias = true, gate, ...ofRows } = options;
    const { quantized, ...weight } = this.#weights.locate(`${module}.weight`, [output, input]);
    const added = bias ? this.weight(`${module}.bias`, [output]) : undefined;
    const branches = this.branches(module);
    if (quantized && branches.length === 0) {
      return quantizedLinear(this.graph, x, { ...weight, quantized }, { bias: added, gate, ...ofRows });
    }
    const base = quantized
      ? quantizedLinear(this.graph, x, { ...weight, quantized }, { bias: added, ...ofRows })
      : this.graph.linear(x, weight, added, this.#dtype, this.#stored);
    const y = addLinearBranches(this.graph, x, base, branches, this.#dtype);
    return gate ? this.graph.mul(y, gate) : y;
  }

  /**
   * Adds a convolution over [1, in, h, w]. By default a kernel of 3 is padded to keep the size; others are
   * not padded.
   */
  conv(module: string, x: Value, options: ConvOptions): Value {
    const { input, output, kernel = 3, stride = 1n, bias = true } = options;
    const steps = { stride, pads: options.pads ?? Array(4).fill(kernel === 3 ? 1n : 0n) };
    const y = this.graph.conv(
      x,
      this.weight(`${module}.weight`, [output, input, kernel, kernel]),
      bias ? this.weight(`${module}.bias`, [output]) : undefined,
      steps,
    );
    return addConvBranches(this.graph, x, y, this.branches(module), steps);
  }

  /** Adds nearest-neighbour upsampling to twice the size, followed by a convolution with a kernel of 3. */
  upsampleConv(module: string, x: Value, options: Pick<ConvOptions, "input" | "output" | "bias">): Value {
    const { input, output, bias = true } = options;
    return upsampleConv(
      this.graph,
      x,
      this.weight(`${module}.weight`, [output, input, 3, 3]),
      bias ? this.weight(`${module}.bias`, [output]) : undefined,
      { input, output },
      this.#dtype,
    );
  }
}
