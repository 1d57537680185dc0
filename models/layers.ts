// This module is browser compatible.

/**
 * Layers as the checkpoints name them: a module's weights lie under its name.
 *
 * @module
 */

import type { Weights } from "./checkpoint/weights.ts";
import type { GraphBuilder, Value } from "./onnx/graph_builder.ts";

/** Adds layers of one component to a graph, taking their weights by name. */
export class Layers {
  /** The graph that layers are added to. */
  readonly graph: GraphBuilder;
  readonly #weights: Weights;

  /**
   * @param graph The graph that layers are added to.
   * @param weights The component's weights.
   */
  constructor(graph: GraphBuilder, weights: Weights) {
    this.graph = graph;
    this.#weights = weights;
  }

  /** The weight of a name, as float32; its shape is checked. */
  weight(name: string, shape: readonly number[]): Value {
    return this.graph.weight(this.#weights.locate(name, shape));
  }

  /** A linear layer over rows [rows, in]. */
  linear(module: string, x: Value, input: number, output: number, bias = true): Value {
    return this.graph.gemm(
      x,
      this.weight(`${module}.weight`, [output, input]),
      bias ? this.weight(`${module}.bias`, [output]) : undefined,
    );
  }

  /** A convolution over [1, in, h, w]; a kernel of 3 is padded to keep the size, other kernels are not padded. */
  conv(
    module: string,
    x: Value,
    input: number,
    output: number,
    options: { kernel?: number; stride?: number; padding?: number; bias?: boolean } = {},
  ): Value {
    const { kernel = 3, stride = 1, padding = kernel === 3 ? 1 : 0, bias = true } = options;
    return this.graph.conv(
      x,
      this.weight(`${module}.weight`, [output, input, kernel, kernel]),
      bias ? this.weight(`${module}.bias`, [output]) : undefined,
      { stride: BigInt(stride), padding: BigInt(padding) },
    );
  }
}
