// This module is browser compatible.

/**
 * A PixArt ControlNet: copies of the transformer's first blocks that process the latents of a control
 * picture. Each copy adds its residual after the original block. Chen et al., "PixArt-δ"
 * (https://arxiv.org/abs/2401.05252), section 4; reference: diffusers'
 * examples/research_projects/pixart/controlnet_pixart_alpha.py.
 *
 * A transformer in one graph contains the blocks of the ControlNet as branches, which a prediction without
 * control skips. If the transformer is split, each block of the ControlNet is a graph between those of the
 * transformer. Either way, only one residual is in memory at a time.
 *
 * @module
 */

import * as z from "zod";
import type { Component } from "../checkpoint/component.ts";
import { CheckpointError } from "../checkpoint/checkpoint_errors.ts";
import { parseConfig } from "../checkpoint/parse_config.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { size } from "../config_schema.ts";
import type { BuiltGraph, Value } from "../onnx/graph_builder.ts";
import type { Segment } from "../segments.ts";
import { PixArtLayers, pixartStepSegments } from "./transformer.ts";
import { CONTROL_BLOCKS, controlModule, type PixArtOptions, TEXT } from "./transformer_options.ts";
import type { PixArtTransformerConfig } from "./transformer_config.ts";

/** Name of the latents of the control picture. */
export const CONTROL_LATENTS = "control_latents";
/** Name of the factor by which residuals are multiplied. */
export const CONTROL_SCALE = "control_scale";
/** Name of the boolean input that enables a ControlNet in the transformer's own graph. */
export const CONTROLLED = "controlled";

/**
 * `config.json` of a ControlNet. The published one contains only the number of blocks; heads and widths are
 * those of the transformer. Other trainers write them too.
 */
const PixArtControlNetConfig = z.object({
  num_layers: size.default(13),
  num_attention_heads: size.optional(),
  attention_head_dim: size.optional(),
  cross_attention_dim: size.optional(),
});

/** A ControlNet for a transformer. */
export interface PixArtControlNet {
  /** Number of its blocks. */
  readonly blocks: number;
  /** Weights of the ControlNet. */
  readonly weights: Weights;
}

/**
 * Reads the number of blocks of a ControlNet, and rejects one that does not fit the transformer.
 *
 * @param component The ControlNet.
 * @param config The transformer's configuration.
 * @throws {CheckpointError} if it belongs to a transformer of a different size.
 */
export function controlNetBlocks(component: Component, config: PixArtTransformerConfig): number {
  const { num_layers, ...sizes } = parseConfig(PixArtControlNetConfig, component);
  if (num_layers >= config.num_layers) {
    throw new CheckpointError(
      `Cannot use ${component.name}: it has ${num_layers} blocks, but must have fewer than the transformer, ` +
        `which has ${config.num_layers}`,
    );
  }
  for (const [name, value] of Object.entries(sizes)) {
    const own = config[name as keyof typeof sizes];
    if (value !== undefined && value !== own) {
      throw new CheckpointError(
        `Cannot use ${component.name}: its ${name} is ${value}, but that of the transformer is ${own}`,
      );
    }
  }
  return num_layers;
}

/**
 * Builds all graphs of a ControlNet to detect missing weights and wrong shapes.
 *
 * @throws {CheckpointError} if a weight is missing or has the wrong shape; names the weight.
 */
export function checkControlNet(config: PixArtTransformerConfig, control: PixArtControlNet): void {
  controlTextGraph(config, control);
  for (let block = 0; block < control.blocks; block++) controlSegment(config, control, block, {});
}

/** Builds the graph of the blocks' keys and values: the projected {@linkcode TEXT} → [tokens, width] each. */
export function controlTextGraph(
  config: PixArtTransformerConfig,
  { blocks, weights }: PixArtControlNet,
  options: PixArtOptions = {},
): BuiltGraph {
  const transformer = new PixArtLayers(config, weights, options);
  const text = transformer.graph.input(TEXT, "float32", ["tokens", config.cross_attention_dim]);
  transformer.keysAndValues(text, Array.from({ length: blocks }, (_, block) => controlModule(block)));
  return transformer.graph.build(`${weights.component}.text`);
}

/**
 * Builds one prediction with a ControlNet in one graph. In addition to the inputs of `pixartStepSegments`, it
 * takes {@linkcode CONTROLLED}, {@linkcode CONTROL_LATENTS} [1, channels, h, w] and
 * {@linkcode CONTROL_SCALE}.
 */
export function controlledStepGraph(
  config: PixArtTransformerConfig,
  weights: Weights,
  control: PixArtControlNet,
  options: PixArtOptions = {},
): Segment[] {
  let state: Value, controlled: Value, scale: Value, copies: PixArtLayers;
  return pixartStepSegments(config, weights, options, (transformer, block, hidden, modulation) => {
    if (block >= control.blocks) return hidden;
    const g = transformer.graph;
    if (block === 0) {
      controlled = g.input(CONTROLLED, "bool", []);
      scale = g.input(CONTROL_SCALE, "float32", []);
      state = transformer.embed(g.input(CONTROL_LATENTS, "float32", [1, config.in_channels, "h", "w"]));
      copies = new PixArtLayers(config, control.weights, options, g);
    }
    const choose = (then: () => Value, otherwise: Value): Value =>
      g.choose(controlled, then, () => otherwise, copies.computeType, ["tokens", copies.width]);
    state = choose(() => controlState(copies, block, hidden, state, modulation), state);
    return choose(() => addControl(copies, block, hidden, state, scale), hidden);
  });
}

/**
 * Builds one prediction with a ControlNet whose blocks are separate segments between the transformer's. In
 * addition to the inputs of `pixartStepSegments`, it takes {@linkcode CONTROL_LATENTS} [1, channels, h, w]
 * and {@linkcode CONTROL_SCALE}; without them, the ControlNet is skipped.
 */
export function controlledStepSegments(
  config: PixArtTransformerConfig,
  weights: Weights,
  control: PixArtControlNet,
  options: PixArtOptions = {},
): Segment[] {
  const { blocks } = control;
  const steps = pixartStepSegments(config, weights, { ...options, separateBlocks: blocks });
  return [
    embedControl(config, weights, options),
    ...steps.flatMap((step, index): Segment[] =>
      index < blocks ? [step, controlSegment(config, control, index, options)] : [step]
    ),
  ];
}

/** Embeds the control latents in the same way as the transformer's own latents. */
function embedControl(config: PixArtTransformerConfig, weights: Weights, options: PixArtOptions): Segment {
  const transformer = new PixArtLayers(config, weights, options);
  const g = transformer.graph;
  const latents = g.input(CONTROL_LATENTS, "float32", [1, config.in_channels, "h", "w"]);
  g.output(stateName(0), transformer.embed(latents), ["tokens", transformer.width], transformer.computeType);
  return { ...g.build(`${weights.component}.control`), isOptional: true };
}

/**
 * Builds a block of the ControlNet, which changes the rows after the transformer's block of the same index.
 */
function controlSegment(
  config: PixArtTransformerConfig,
  { blocks, weights }: PixArtControlNet,
  block: number,
  options: PixArtOptions,
): Segment {
  const transformer = new PixArtLayers(config, weights, options);
  const g = transformer.graph;
  const tokens = ["tokens", transformer.width] as const;
  const rows = `hidden.${block + 1}`;
  const hidden = g.input(rows, transformer.computeType, tokens);
  const modulation = g.input("modulation", "float32", [1, 6 * transformer.width]);
  const before = g.input(stateName(block), transformer.computeType, tokens);
  const state = controlState(transformer, block, hidden, before, modulation);
  const scale = g.input(CONTROL_SCALE, "float32", []);
  const controlled = `controlled.${block + 1}`;
  g.output(controlled, addControl(transformer, block, hidden, state, scale), tokens, transformer.computeType);
  if (block + 1 < blocks) g.output(stateName(block + 1), state, tokens, transformer.computeType);
  return {
    ...g.build(`${weights.component}.blocks.${block}`, { prepareWeights: true }),
    isOptional: true,
    replaces: { [controlled]: rows },
  };
}

function stateName(block: number): string {
  return `control.${block}`;
}

/**
 * Runs a block of the ControlNet.
 *
 * @param layers Layers with the ControlNet's weights.
 * @param block Index of the block.
 * @param hidden Rows [tokens, width], from which the first block starts.
 * @param state State of the previous block; the embedded control latents for the first.
 * @param modulation Modulation vectors from the condition.
 * @returns The state for the next block, [tokens, width].
 */
function controlState(
  layers: PixArtLayers,
  block: number,
  hidden: Value,
  state: Value,
  modulation: Value,
): Value {
  const begun = block === 0
    ? layers.graph.add(layers.project(`${CONTROL_BLOCKS}.0.before_proj`, state), hidden)
    : state;
  return layers.block(block, begun, modulation, controlModule(block));
}

/** Adds the residual of a block of the ControlNet, multiplied by the scale, to the rows [tokens, width]. */
function addControl(layers: PixArtLayers, block: number, hidden: Value, state: Value, scale: Value): Value {
  const g = layers.graph;
  const residual = layers.project(`${CONTROL_BLOCKS}.${block}.after_proj`, state);
  g.probe(`control.residual.${block}`, residual, ["tokens", layers.width]);
  const factor = layers.computeType === "float32" ? scale : g.cast(scale, layers.computeType);
  return g.add(hidden, g.mul(residual, factor));
}
