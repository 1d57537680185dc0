/**
 * Sizes to choose from.
 *
 * @module
 */

import type { Model } from "./types.ts";

/** A size with the shape that it has. */
export interface Size {
  readonly shape: string;
  readonly width: number;
  readonly height: number;
}

const SHAPES: readonly (readonly [number, number])[] = [[1, 1], [4, 3], [3, 4], [16, 9], [9, 16]];

/** Sizes with about as many pixels as a model's own, in the shapes that people ask for. */
export function sizesOf({ defaults }: Model, limits: Readonly<Record<string, number>>): Size[] {
  const { width, height } = defaults;
  const side = Math.sqrt(width * height);
  const multiple = side < 512 ? 8 : 32;
  const { minSize = 16, maxSize = 2048 } = limits;
  const fitted = (pixels: number): number =>
    Math.min(Math.max(Math.round(pixels / multiple) * multiple, minSize), maxSize);
  return SHAPES.map(([across, down]) => ({
    shape: `${across}:${down}`,
    width: fitted(side * Math.sqrt(across / down)),
    height: fitted(side * Math.sqrt(down / across)),
  }));
}
