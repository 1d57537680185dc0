// This module is browser compatible.

/**
 * Plans which feature maps the seam-free decoder keeps in memory, and which it computes twice instead.
 *
 * @module
 */

import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import { type FeatureMapSizes, mapBytes } from "./feature_maps.ts";
import type { Resnet, SourceConv } from "./strip_graph.ts";

/** One residual block with the convolution before it. */
export interface SeamlessStep {
  /** The block. */
  readonly resnet: Resnet;
  /** The convolution before it, if any: one that doubles the size, or the encoder's first. */
  readonly sourceConv?: SourceConv;
  /** Sizes of the output. */
  readonly sizes: FeatureMapSizes;
  /**
   * Whether the output of that convolution is stored for the whole block instead of being recomputed in each
   * pass.
   */
  readonly keepsSource: boolean;
  /**
   * Number of rows of the output of the block's first convolution, from the top, that are stored for the
   * second. The others are recomputed.
   */
  readonly innerRows: number;
  /**
   * Whether the output of the block's shortcut takes the place of its source, which has more channels, when
   * the first convolution has read it.
   */
  readonly keepsSkip: boolean;
}

/** The plan of a decoder. */
export interface SeamlessPlan {
  readonly steps: readonly SeamlessStep[];
  /** Peak size in bytes of the feature maps in memory. */
  readonly mapBytes: number;
}

/**
 * Plans a decoder. It must at least store the largest output of a residual block, because the next norm needs
 * the statistics of all of it. Within that size, or within a larger allowance, it stores everything that fits
 * instead of computing it twice.
 *
 * @param config The autoencoder.
 * @param latents Height and width of the latents.
 * @param allowedBytes Maximum size in bytes of the feature maps in memory at a time; raised to the smallest
 *   possible.
 */
export function planSeamless(
  config: AutoencoderKLConfig,
  latents: { readonly height: number; readonly width: number },
  allowedBytes = 0,
): SeamlessPlan {
  const channels = [...config.block_out_channels].reverse();
  const blocks = channels.map((output, block) => {
    const input = channels[Math.max(block - 1, 0)]!;
    const sizes = { rows: latents.height << block, channels: output, width: latents.width << block };
    const before = mapBytes({ rows: sizes.rows >> 1, channels: input, width: sizes.width >> 1 });
    return {
      block,
      input,
      sizes,
      before: block === 0 ? mapBytes(sizes) : before,
      upsampled: mapBytes({ ...sizes, channels: input }),
      own: mapBytes(sizes),
    };
  });
  // Rows that the last pass over feature maps has read make room for those that it writes.
  const least = Math.max(...blocks.map(({ before, own }) => Math.max(before, own)));
  const allowed = Math.max(least, allowedBytes);
  let peak = 0;
  const steps = blocks.flatMap(({ block, input, sizes, before, upsampled, own }) => {
    const keepsSkip = block > 0 && input > sizes.channels;
    const stored = keepsSkip ? Math.max(upsampled, 2 * own) : upsampled + own;
    const keepsSource = block > 0 && stored <= allowed;
    const innerRows = (source: number): number =>
      Math.min(sizes.rows, Math.floor((allowed - source) / (own / sizes.rows)));
    const source = block === 0 ? own : before;
    const rows = [keepsSource ? sizes.rows : innerRows(source), innerRows(own)] as const;
    const innerBytes = (rows: number): number => own * rows / sizes.rows;
    peak = Math.max(peak, own + innerBytes(rows[1]), keepsSource ? stored : source + innerBytes(rows[0]));
    return Array.from({ length: config.layers_per_block + 1 }, (_, index): SeamlessStep => ({
      resnet: {
        module: `decoder.up_blocks.${block}.resnets.${index}`,
        input: index === 0 ? input : sizes.channels,
        output: sizes.channels,
      },
      ...(index === 0 && block > 0
        ? {
          sourceConv: {
            module: `decoder.up_blocks.${block - 1}.upsamplers.0.conv`,
            input,
            channels: input,
            doubles: true,
          },
        }
        : {}),
      sizes,
      keepsSource: index === 0 && keepsSource,
      innerRows: rows[index === 0 ? 0 : 1],
      keepsSkip: index === 0 && keepsSource && keepsSkip,
    }));
  });
  return { steps, mapBytes: peak };
}
