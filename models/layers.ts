// This module is browser compatible.

/**
 * Layers as the checkpoints name them: a module's weights lie under its name.
 *
 * @module
 */

import type { Weights } from "./checkpoint/weights.ts";
import type { LowRankBranch } from "./lora/branch.ts";
import { addConvBranches, addLinearBranches, mergedMatrix } from "./lora/branch_layers.ts";
import type { ComputeType, GraphBuilder, Value } from "./onnx/graph_builder.ts";
import { dequantized, quantizedLinear, type ScaledMatrix, scaledMatrix } from "./onnx/quantized_linear.ts";
import { upsampleConv } from "./vae/upsample_conv.ts";

/** What a convolution is. */
export interface ConvOptions {
  /** Channels that go in. */
  readonly input: number;
  /** Channels that come out. */
  readonly output: number;
  /**
   * Size of the kernel.
   *
   * @default {3}
   */
  readonly kernel?: number;
  /**
   * Step of the kernel.
   *
   * @default {1n}
   */
  readonly stride?: bigint;
  /** Zeros at top, left, bottom and right; one each for a kernel of 3 if left out, else none. */
  readonly pads?: readonly bigint[];
  /**
   * Whether there is a bias.
   *
   * @default {true}
   */
  readonly bias?: boolean;
}

/** Adds layers of one component to a graph, taking their weights by name. */
export class Layers {
  /** The graph that layers are added to. */
  readonly graph: GraphBuilder;
  readonly #weights: Weights;
  readonly #dtype: ComputeType;

  /**
   * @param graph The graph that layers are added to.
   * @param weights The component's weights.
   * @param dtype The type that these layers take, compute in and give.
   */
  constructor(graph: GraphBuilder, weights: Weights, dtype: ComputeType = "float32") {
    this.graph = graph;
    this.#weights = weights;
    this.#dtype = dtype;
  }

  /** The weight of a name; its shape is checked. */
  weight(name: string, shape: readonly number[]): Value {
    const location = this.#weights.locate(name, shape);
    return location.quantized ? dequantized(this.graph, location) : this.graph.weight(location, this.#dtype);
  }

  /** A weight [out, in], the scales of its rows apart where it is quantized. */
  scaledMatrix(name: string, shape: readonly [output: number, input: number]): ScaledMatrix {
    const location = this.#weights.locate(name, shape);
    return location.quantized
      ? scaledMatrix(this.graph, location)
      : { values: this.graph.weight(location, this.#dtype) };
  }

  /** The low-rank branches beside a module. */
  branches(module: string): readonly LowRankBranch[] {
    return this.#weights.branches?.(module) ?? [];
  }

  /** The matrix of a linear layer with its low-rank branches merged in. */
  matrix(module: string, shape: readonly [output: number, input: number]): Value {
    const branches = this.branches(module);
    const name = `${module}.weight`;
    if (branches.length === 0) return this.weight(name, shape);
    const location = this.#weights.locate(name, shape);
    const base = location.quantized ? dequantized(this.graph, location) : this.graph.weight(location);
    return mergedMatrix(this.graph, base, branches, this.#dtype);
  }

  /** A linear layer over rows [rows, in], with its low-rank branches beside it. */
  linear(module: string, x: Value, input: number, output: number, bias = true): Value {
    const { quantized, ...weight } = this.#weights.locate(`${module}.weight`, [output, input]);
    const added = bias ? this.weight(`${module}.bias`, [output]) : undefined;
    const y = quantized
      ? quantizedLinear(this.graph, x, { ...weight, quantized }, added)
      : this.graph.linear(x, weight, added, this.#dtype);
    return addLinearBranches(this.graph, x, y, this.branches(module), this.#dtype);
  }

  /** A convolution over [1, in, h, w]; a kernel of 3 is padded to keep the size, others are not padded. */
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

  /** Twice the size by repeating each point, then a convolution with a kernel of 3. */
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
