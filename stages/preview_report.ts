// This module is browser compatible.

import { tensor } from "../artifacts/tensor.ts";
import type { StageReport } from "./stage_report.ts";
import { latentsToRgb } from "../images/latent_preview.ts";
import { encodePicture } from "../images/picture.ts";
import type { Checkpoint } from "../models/checkpoint/checkpoint.ts";

/** What a preview shows. */
export interface PreviewSource {
  /** Latents of one image, flat; what denoising expects to come to where the scheduler tells that. */
  readonly latents: Float32Array;
  /** Their shape, [1, 4, height, width]. */
  readonly shape: readonly number[];
  /** Whose latents they are. */
  readonly checkpoint: Pick<Checkpoint, "family" | "defaults">;
  /** Which image, from 0. */
  readonly image: number;
  /** Steps done for that image. */
  readonly step: number;
}

/** The report of what an image has come to: a small PNG, a pixel for each latent. */
export async function previewReport(
  { latents, shape, checkpoint, image, step }: PreviewSource,
): Promise<StageReport> {
  const { family, defaults } = checkpoint;
  const colours = defaults.latentColours ?? (family === "sigma" ? "sdxl" : "sd");
  const [pixels] = latentsToRgb(tensor("float32", shape, latents), colours);
  const { width, height } = pixels!;
  const png = (await encodePicture(pixels!, { format: "png" })).toBase64();
  return { type: "preview", image, step, width, height, png };
}
