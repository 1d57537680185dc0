// This module is browser compatible.

/**
 * Plans which feature maps the seam-free encoder keeps in memory, and which it computes twice instead.
 *
 * @module
 */

import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import { type FeatureMapSizes, mapBytes } from "./feature_maps.ts";
import type { SeamlessStep } from "./seamless_plan.ts";
import type { Downsampler } from "./strip_graph.ts";

/** One residual block, or a convolution that halves the size. */
export type SeamlessEncoderStep =
  | ({ readonly kind: "resnet" } & SeamlessStep)
  | { readonly kind: "downsample"; readonly downsampler: Downsampler };

/** The plan of an encoder. */
export interface SeamlessEncoderPlan {
  /** The steps from the picture to the deepest feature maps. */
  readonly steps: readonly SeamlessEncoderStep[];
  /** Peak size in bytes of the feature maps in memory. */
  readonly mapBytes: number;
}

/**
 * Plans an encoder. The first convolution is recomputed in each pass because reading three channels is
 * cheaper than storing its output. The widest feature maps are therefore in memory once instead of twice.
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
    peak = Math.max(peak, source + mapBytes(sizes));
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
      innerRows: index === 0 ? sizes.rows : 0,
      keepsSkip: false,
    }));
    const downsampler = { module: `${module}.downsamplers.0.conv`, channels: output };
    return isLast ? resnets : [...resnets, { kind: "downsample", downsampler }];
  });
  return { steps, mapBytes: peak };
}
