/**
 * Softens the edges of a mask.
 *
 * @module
 */

/** Number of box-blur passes that approximate a Gaussian blur. */
const PASSES = 3;

/**
 * Blurs a mask approximately like a Gaussian. Not every browser can blur a canvas. Pixels beyond an edge
 * equal the pixel at the edge.
 *
 * @param mask One byte per pixel, row by row.
 * @param width Pixels per row.
 * @param sigma The standard deviation in pixels.
 * @returns The blurred mask.
 */
export function feathered(mask: Uint8ClampedArray, width: number, sigma: number): Uint8ClampedArray {
  // A box of 2r + 1 pixels has the variance ((2r + 1)^2 - 1) / 12.
  const radius = Math.round((Math.sqrt(12 * sigma * sigma / PASSES + 1) - 1) / 2);
  if (radius < 1 || mask.length === 0) return mask;
  const height = mask.length / width;
  const from = Float32Array.from(mask);
  const to = new Float32Array(mask.length);
  for (let pass = 0; pass < PASSES; pass++) {
    for (let row = 0; row < height; row++) blurLine(from, to, row * width, 1, width, radius);
    for (let column = 0; column < width; column++) blurLine(to, from, column, width, height, radius);
  }
  return Uint8ClampedArray.from(from);
}

/** Computes the mean around each pixel of a row or a column, as a moving sum. */
function blurLine(
  from: Float32Array,
  to: Float32Array,
  start: number,
  stride: number,
  length: number,
  radius: number,
): void {
  const at = (place: number): number => from[start + stride * Math.min(Math.max(place, 0), length - 1)]!;
  let sum = 0;
  for (let place = -radius; place <= radius; place++) sum += at(place);
  for (let place = 0; place < length; place++) {
    to[start + stride * place] = sum / (2 * radius + 1);
    sum += at(place + radius + 1) - at(place - radius);
  }
}
