/**
 * Picture sizes to choose from.
 *
 * @module
 */

import type { Model } from "./types.ts";

/** A size and its aspect ratio. */
export interface Size {
  readonly shape: string;
  readonly width: number;
  readonly height: number;
}

const SHAPES: readonly (readonly [number, number])[] = [[1, 1], [4, 3], [3, 4], [16, 9], [9, 16]];

/** Returns sizes with about as many pixels as the model's native size, in common aspect ratios. */
export function sizesOf(model: Model, limits: Readonly<Record<string, number>>): Size[] {
  return SHAPES.map(([across, down]) => ({
    shape: `${across}:${down}`,
    ...fitted(across / down, model, limits),
  }));
}

/** Returns the size with a picture's aspect ratio and about as many pixels as the model's native size. */
export function fittedTo(
  picture: Pick<Size, "width" | "height">,
  model: Model,
  limits: Readonly<Record<string, number>>,
): Pick<Size, "width" | "height"> {
  return fitted(picture.width / picture.height, model, limits);
}

function fitted(
  aspect: number,
  { defaults }: Model,
  { minSize = 16, maxSize = 2048 }: Readonly<Record<string, number>>,
): Pick<Size, "width" | "height"> {
  const side = Math.sqrt(defaults.width * defaults.height);
  const multiple = side < 512 ? 8 : 32;
  const whole = (pixels: number): number =>
    Math.min(Math.max(Math.round(pixels / multiple) * multiple, minSize), maxSize);
  return { width: whole(side * Math.sqrt(aspect)), height: whole(side / Math.sqrt(aspect)) };
}
