// This module is browser compatible.

/**
 * What the seam-free encoder keeps in memory, and what it computes twice instead. Pure.
 *
 * @module
 */

import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import { type FeatureMapSizes, mapBytes } from "./feature_maps.ts";
import type { SeamlessStep } from "./seamless_plan.ts";
import type { Downsampler } from "./strip_graph.ts";

/** One residual block, or a halving. */
export type SeamlessEncoderStep =
  | ({ readonly kind: "resnet" } & SeamlessStep)
  | { readonly kind: "downsample"; readonly downsampler: Downsampler };

/** An encoder's steps. */
export interface SeamlessEncoderPlan {
  /** From the picture to the deepest feature maps. */
  readonly steps: readonly SeamlessEncoderStep[];
  /** Largest sum of the feature maps that are held at a time, in bytes. */
  readonly mapBytes: number;
}

/**
 * Plans an encoder. The first convolution's feature maps are made anew in each pass, as three channels are read faster
 * than they are kept; so the widest feature maps are held once, and not twice.
 *
 * @param config The autoencoder.
 * @param picture Height and width in pixels.
 */
export function planSeamlessEncoder(
  config: AutoencoderKLConfig,
  picture: { readonly height: number; readonly width: number },
): SeamlessEncoderPlan {
  const { block_out_channels: channels, in_channels, layers_per_block } = config;
  const sizesOf = (block: number, count: number): FeatureMapSizes => ({
    rows: picture.height >> block,
    channels: count,
    width: picture.width >> block,
  });
  let peak = 0;
  const steps = channels.flatMap((output, block): SeamlessEncoderStep[] => {
    const input = channels[Math.max(block - 1, 0)]!;
    const sizes = sizesOf(block, output);
    const source = mapBytes(sizesOf(block, block === 0 ? in_channels : input));
    const isLast = block === channels.length - 1;
    peak = Math.max(
      peak,
      source + mapBytes(sizes),
      isLast ? 0 : mapBytes(sizes) + mapBytes(sizesOf(block + 1, output)),
    );
    const module = `encoder.down_blocks.${block}`;
    const resnets = Array.from({ length: layers_per_block }, (_, index): SeamlessEncoderStep => ({
      kind: "resnet",
      resnet: {
        module: `${module}.resnets.${index}`,
        input: index === 0 ? input : output,
        output,
      },
      ...(index === 0 && block === 0
        ? { sourceConv: { module: "encoder.conv_in", input: in_channels, channels: output, doubles: false } }
        : {}),
      sizes,
      keepsSource: false,
      // The first block's channels may be others than its source's, so it cannot be overwritten.
      keepsInner: index === 0,
    }));
    const downsampler = { module: `${module}.downsamplers.0.conv`, channels: output };
    return isLast ? resnets : [...resnets, { kind: "downsample", downsampler }];
  });
  return { steps, mapBytes: peak };
}
