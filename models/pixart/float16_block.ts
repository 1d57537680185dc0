// This module is browser compatible.

/**
 * A transformer block entirely in float16, including the residual stream, norms and attention, for devices
 * whose kernels accumulate in float32. It minimizes passes over the rows of the picture, which take as long
 * as the products:
 *
 * - Each product accumulates directly into the residual. Bias and gate are folded into the small tensors:
 *   with hidden rows h and gate g, h + g ∘ (W · x + b) = (diag(g) · W) · x + (h + g ∘ b).
 * - A key's bias adds the same amount to all scores of a query, so the softmax cancels it.
 * - Both guidance branches attend to their texts in one call. The texts are padded to one length, and the
 *   kernel receives the valid token counts.
 * - Attention weights sum to 1, so a value's bias passes through unchanged:
 *   W · (v + b) + c = W · v + (W · b + c).
 *
 * @module
 */

import type { Layers } from "../layers.ts";
import { attention } from "../onnx/attention.ts";
import type { Value } from "../onnx/graph_builder.ts";

/** Modulation vectors of a block, [width] each, in float16. Scales already include the added 1. */
export interface BlockModulation {
  readonly shift: Value;
  readonly scale: Value;
  readonly gate: Value;
  readonly shiftFf: Value;
  readonly scaleFf: Value;
  readonly gateFf: Value;
}

/** The parameters of a block. */
export interface Float16BlockOptions {
  /** Name of its module. */
  readonly module: string;
  readonly width: number;
  readonly heads: number;
  /** Whether the projections of attention have biases. */
  readonly bias: boolean;
  readonly epsilon: number;
  readonly activation: "gelu" | "gelu-approximate";
  /** Returns the output of self-attention, or the values themselves if a prediction perturbs it. */
  readonly perturb: (value: () => Value, attend: (value: () => Value) => Value) => Value;
  /** Number of guidance branches whose rows are concatenated. */
  readonly branches: number;
  /**
   * Projected texts of all branches, padded to one length: [branches · text tokens, text width], in float16.
   */
  readonly text: Value;
  /** Number of channels of the projected texts. */
  readonly textWidth: number;
  /** Number of valid tokens of each text, int32 [branches]. */
  readonly textLengths: Value;
}

/**
 * Adds a block to a graph.
 *
 * @param layers Layers in float16.
 * @param hidden Rows [branches · tokens, width], in float16.
 * @param modulation Its modulation vectors.
 * @param options Its parameters.
 * @returns The rows after the block.
 */
export function float16Block(
  layers: Layers,
  hidden: Value,
  modulation: BlockModulation,
  options: Float16BlockOptions,
): Value {
  const { module, width, heads, bias, epsilon, activation, perturb, branches, text, textWidth, textLengths } =
    options;
  const g = layers.graph;
  const weight = (name: string, rows: number, columns: number) =>
    layers.matrix(`${module}.${name}`, [rows, columns]);
  const biasOf = (name: string, length: number) => layers.weight(`${module}.${name}.bias`, [length]);

  // 1. Self-attention.
  const normed = g.layerNorm(hidden, modulation.scale, modulation.shift, epsilon);
  const project = (name: string, hasBias: boolean) =>
    g.gemm(normed, weight(name, width, width), hasBias ? biasOf(name, width) : undefined);
  const seen = perturb(
    () => project("attn1.to_v", false),
    (value) =>
      attention(g, project("attn1.to_q", bias), project("attn1.to_k", false), value(), {
        heads,
        sequences: branches,
      }),
  );
  const out = weight("attn1.to_out.0", width, width);
  const through = bias ? biasThrough(biasOf("attn1.to_v", width)) : undefined;
  hidden = accumulate(
    seen,
    out,
    through ? g.add(biasOf("attn1.to_out.0", width), through) : biasOf("attn1.to_out.0", width),
    modulation.gate,
  );

  // 2. Cross-attention: each branch attends to its own text.
  const query = g.gemm(
    hidden,
    weight("attn2.to_q", width, width),
    bias ? biasOf("attn2.to_q", width) : undefined,
  );
  const [key, value] = ["attn2.to_k", "attn2.to_v"].map((name) =>
    g.gemm(text, weight(name, width, textWidth), bias ? biasOf(name, width) : undefined)
  );
  hidden = accumulate(
    attention(g, query, key!, value!, { heads, sequences: branches, keyLengths: textLengths }),
    weight("attn2.to_out.0", width, width),
    biasOf("attn2.to_out.0", width),
  );

  // 3. Feed-forward.
  const inner = g.gemm(
    g.layerNorm(hidden, modulation.scaleFf, modulation.shiftFf, epsilon),
    weight("ff.net.0.proj", 4 * width, width),
  );
  const innerBias = biasOf("ff.net.0.proj", 4 * width);
  const activated = activation === "gelu"
    ? g.gelu(g.add(inner, innerBias))
    : g.contrib("FastGelu", [inner, innerBias]);
  return accumulate(
    activated,
    weight("ff.net.2", width, 4 * width),
    biasOf("ff.net.2", width),
    modulation.gateFf,
  );

  /** Computes rows · matrixᵀ + bias, multiplies it by the gate, and adds it to the hidden rows. */
  function accumulate(rows: Value, matrix: Value, added: Value, gate?: Value): Value {
    const gated = gate ? g.mul(matrix, g.reshape(gate, [width, 1])) : matrix;
    return g.gemm(rows, gated, g.add(hidden, gate ? g.mul(added, gate) : added));
  }

  /** Returns the contribution of the values' bias after the output projection. */
  function biasThrough(vector: Value): Value {
    return g.reshape(g.gemm(g.reshape(vector, [1, width]), out), [width]);
  }
}
