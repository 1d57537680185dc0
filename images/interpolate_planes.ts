// This module is browser compatible.

import { type Tensor, tensor } from "../artifacts/tensor.ts";

/** The method that determines values between points. */
export type Interpolation = "nearest" | "bilinear" | "bicubic";

/** The points of a line that contribute to a new point, and their weights. */
interface Mixture {
  readonly points: readonly number[];
  readonly shares: readonly number[];
}

/** The parameter of torch's cubic kernel. */
const A = -0.75;

/**
 * Interpolates planes to another size, like `torch.nn.functional.interpolate` without `align_corners` and
 * `antialias` (aten/src/ATen/native/UpSample.h).
 *
 * @param planes [images, channels, height, width].
 * @param height Rows of the result.
 * @param width Columns of the result.
 * @param mode The method of interpolation.
 * @returns [images, channels, height, width].
 */
export function interpolatePlanes(
  planes: Tensor<"float32">,
  height: number,
  width: number,
  mode: Interpolation,
): Tensor<"float32"> {
  const [images = 0, channels = 0, rows = 0, columns = 0] = planes.shape;
  const mix = { nearest, bilinear, bicubic }[mode];
  const across = Array.from({ length: width }, (_, x) => mix(x, columns, width));
  const down = Array.from({ length: height }, (_, y) => mix(y, rows, height));
  const data = new Float32Array(images * channels * height * width);
  let at = 0;
  for (let plane = 0; plane < images * channels; plane++) {
    const start = plane * rows * columns;
    for (const { points: ys, shares: yShares } of down) {
      for (const { points: xs, shares: xShares } of across) {
        let sum = 0;
        for (const [i, y] of ys.entries()) {
          let row = 0;
          for (const [j, x] of xs.entries()) row += xShares[j]! * planes.data[start + y * columns + x]!;
          sum += yShares[i]! * row;
        }
        data[at++] = sum;
      }
    }
  }
  return tensor("float32", [images, channels, height, width], data);
}

function nearest(at: number, from: number, to: number): Mixture {
  return { points: [Math.min(Math.floor(Math.fround(at * Math.fround(from / to))), from - 1)], shares: [1] };
}

function bilinear(at: number, from: number, to: number): Mixture {
  const source = Math.max((at + 0.5) * from / to - 0.5, 0);
  const first = Math.floor(source);
  const share = source - first;
  return { points: [first, Math.min(first + 1, from - 1)], shares: [1 - share, share] };
}

/** Returns the cubic convolution (Keys 1981) of four points; points beyond the border repeat the border. */
function bicubic(at: number, from: number, to: number): Mixture {
  const source = (at + 0.5) * from / to - 0.5;
  const first = Math.floor(source);
  const near = (x: number): number => ((A + 2) * x - (A + 3)) * x * x + 1;
  const far = (x: number): number => ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
  const t = source - first;
  return {
    points: [-1, 0, 1, 2].map((step) => Math.min(Math.max(first + step, 0), from - 1)),
    shares: [far(t + 1), near(t), near(1 - t), far(2 - t)],
  };
}
