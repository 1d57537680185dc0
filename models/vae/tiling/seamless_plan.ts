// This module is browser compatible.

/**
 * What the seam-free decoder keeps in memory, and what it computes twice instead. Pure.
 *
 * @module
 */

import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import { type FeatureMapSizes, mapBytes } from "./feature_maps.ts";
import type { Resnet, SourceConv } from "./strip_graph.ts";

/** One residual block, with the convolution before it. */
export interface SeamlessStep {
  /** The block. */
  readonly resnet: Resnet;
  /** The convolution before it, where there is one: a doubling, or the encoder's first. */
  readonly sourceConv?: SourceConv;
  /** Sizes of what comes out. */
  readonly sizes: FeatureMapSizes;
  /** Whether the feature maps of that convolution are kept while the block is computed, or made anew in each pass. */
  readonly keepsSource: boolean;
  /** Whether the first convolution's feature maps are kept for the second, or made anew. */
  readonly keepsInner: boolean;
}

/** A decoder's steps. */
export interface SeamlessPlan {
  readonly steps: readonly SeamlessStep[];
  /** Largest sum of the feature maps that are held at a time. */
  readonly mapBytes: number;
}

/**
 * Plans a decoder. The feature maps of the last block's first residual block and of its source must be held; within
 * that, or within a larger allowance, nothing is computed twice that fits.
 *
 * @param config The autoencoder.
 * @param latents Height and width of the latents.
 * @param allowedBytes FeatureMaps that may be held at a time; the least possible if left out or if less.
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
  const least = Math.max(...blocks.map(({ before, own }) => before + own));
  const allowed = Math.max(least, allowedBytes);
  let peak = 0;
  const steps = blocks.flatMap(({ block, input, sizes, before, upsampled, own }) => {
    const keepsUpsampled = block > 0 && upsampled + Math.max(before, own) <= allowed;
    const keepsInner = 2 * own <= allowed;
    peak = Math.max(
      peak,
      keepsUpsampled ? upsampled + Math.max(before, own) : before + own,
      keepsInner ? 2 * own : own,
    );
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
      keepsSource: index === 0 && keepsUpsampled,
      // Where those before it are held too, the second convolution's feature maps take the place of the first's.
      keepsInner: index === 0 || keepsInner,
    }));
  });
  return { steps, mapBytes: peak };
}
