// This module is browser compatible.

/**
 * Runs the middle block of an autoencoder in parts, for devices that keep the memory of unused tensors until
 * the run of a graph ends. The scores of its attention, [points, points], are the largest tensors: 1.1 GB for a
 * picture of 1024 × 1024. Each run therefore attends with some of the queries only. The results are the same as
 * in one piece, because each query is independent of the others.
 *
 * @module
 */

import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { attention } from "../../onnx/attention.ts";
import { type BuiltGraph, GraphBuilder } from "../../onnx/graph_builder.ts";
import { AutoencoderLayers } from "../autoencoder_kl.ts";
import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import type { StripRun } from "./strip_run.ts";

/** Maximum size in bytes of the scores of one run. */
export const SCORE_BYTES = 64 << 20;

/** The half of the autoencoder that a middle block belongs to. */
type Half = "encoder" | "decoder";

/**
 * Runs the middle block: of the decoder with the layers before it, or of the encoder with those after it.
 *
 * @param run Opens the graphs.
 * @param half The half of the autoencoder.
 * @param config The autoencoder.
 * @param weights Its weights.
 * @param given The decoder's latents [1, latent channels, h, w], divided by the scaling factor, or the
 *   encoder's feature maps [1, widest, h, w].
 * @param scoreBytes Maximum size in bytes of the scores of one run, unless one row of them is larger.
 * @returns The decoder's feature maps [1, widest, h, w], or the encoder's moments [1, 2 · latent channels, h,
 *   w].
 */
export async function middleBlockInParts(
  run: StripRun,
  half: Half,
  config: AutoencoderKLConfig,
  weights: Weights,
  given: Tensor<"float32">,
  scoreBytes: number = SCORE_BYTES,
): Promise<Tensor<"float32">> {
  const channels = config.block_out_channels.at(-1)!;
  const { hidden, query, key, value } = await run.runWhole(startGraph(half, config, weights), { given });
  const [points = 0] = key!.shape;
  const rows = Math.max(1, Math.floor(scoreBytes / (4 * points)));
  const attended = new Float32Array(points * channels);
  const queries = (query as Tensor<"float32">).data;
  const chunks = Array.from({ length: Math.ceil(points / rows) }, (_, index) => {
    const [first, end] = [index * rows, Math.min((index + 1) * rows, points)];
    return {
      first,
      feed: tensor("float32", [end - first, channels], queries.subarray(first * channels, end * channels)),
    };
  });
  const feeds = chunks.map(({ feed }) => ({ query: feed, key: key!, value: value! }));
  let index = 0;
  for await (const { rows } of run.runEach(attentionGraph(weights, channels), feeds)) {
    attended.set((rows as Tensor<"float32">).data, chunks[index++]!.first * channels);
  }
  const { result } = await run.runWhole(endGraph(half, config, weights), {
    hidden: hidden!,
    attended: tensor("float32", [points, channels], attended),
  });
  return result as Tensor<"float32">;
}

/** Builds the part before the attention. */
function startGraph(half: Half, config: AutoencoderKLConfig, weights: Weights): BuiltGraph {
  const layers = new AutoencoderLayers(config, weights);
  const g = layers.graph;
  const channels = config.block_out_channels.at(-1)!;
  const module = `${half}.mid_block`;
  const given = g.input("given", "float32", [
    1,
    half === "decoder" ? config.latent_channels : channels,
    "h",
    "w",
  ]);
  const hidden = layers.midStart(module, half === "decoder" ? layers.latentMaps(given) : given, channels);
  g.output("hidden", hidden, [1, channels, "h", "w"]);
  for (const [name, rows] of Object.entries(layers.attentionRows(module, hidden, channels))) {
    g.output(name, rows, ["points", channels]);
  }
  return g.build(`${weights.component}.${module}.start`);
}

/** Builds the attention of some queries. */
function attentionGraph(weights: Weights, channels: number): BuiltGraph {
  const g = new GraphBuilder();
  const key = g.input("key", "float32", ["points", channels]);
  const value = g.input("value", "float32", ["points", channels]);
  const query = g.input("query", "float32", ["queries", channels]);
  g.output("rows", attention(g, query, key, value, { heads: 1 }), ["queries", channels]);
  return g.build(`${weights.component}.mid_block.attention`);
}

/** Builds the part after the attention. */
function endGraph(half: Half, config: AutoencoderKLConfig, weights: Weights): BuiltGraph {
  const layers = new AutoencoderLayers(config, weights);
  const g = layers.graph;
  const channels = config.block_out_channels.at(-1)!;
  const module = `${half}.mid_block`;
  const hidden = g.input("hidden", "float32", [1, channels, "h", "w"]);
  const attended = g.input("attended", "float32", ["points", channels]);
  const maps = layers.midEnd(module, layers.addAttended(module, hidden, attended, channels), channels);
  const [result, width] = half === "decoder"
    ? [maps, channels]
    : [layers.moments(maps), 2 * config.latent_channels];
  g.output("result", result, [1, width, "h", "w"]);
  return g.build(`${weights.component}.${module}.end`);
}
