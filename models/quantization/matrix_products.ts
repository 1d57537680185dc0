// This module is browser compatible.

/**
 * Products of float32 matrices in a fixed order of additions, so that the result is the same on every
 * machine. Both functions keep eight sums or factors in registers, which makes them several times as fast as
 * plain loops.
 *
 * @module
 */

/**
 * Computes the scalar products of the rows of two matrices: out = right · leftᵀ.
 *
 * @param left Matrix [rows, columns].
 * @param rows Number of rows, a multiple of 4.
 * @param right Matrix [others, columns].
 * @param others Number of rows of the other matrix, a multiple of 2.
 * @param columns Number of columns of both.
 * @param out Matrix [others, rows], overwritten.
 */
export function scalarProducts(
  left: Float32Array,
  rows: number,
  right: Float32Array,
  others: number,
  columns: number,
  out: Float32Array,
): void {
  for (let row = 0; row < rows; row += 4) {
    const a = row * columns;
    const b = a + columns;
    const c = b + columns;
    const d = c + columns;
    for (let other = 0; other < others; other += 2) {
      const x = other * columns;
      const y = x + columns;
      let ax = 0, ay = 0, bx = 0, by = 0, cx = 0, cy = 0, dx = 0, dy = 0;
      for (let at = 0; at < columns; at++) {
        const first = right[x + at]!;
        const second = right[y + at]!;
        let value = left[a + at]!;
        ax += value * first;
        ay += value * second;
        value = left[b + at]!;
        bx += value * first;
        by += value * second;
        value = left[c + at]!;
        cx += value * first;
        cy += value * second;
        value = left[d + at]!;
        dx += value * first;
        dy += value * second;
      }
      out.set([ax, bx, cx, dx], other * rows + row);
      out.set([ay, by, cy, dy], (other + 1) * rows + row);
    }
  }
}

/**
 * Adds the product of two matrices to another: out += factors · matrix.
 *
 * @param out Matrix [rows, columns].
 * @param rows Number of rows, a multiple of 2.
 * @param factors Matrix [rows, inner].
 * @param matrix Matrix [inner, columns].
 * @param inner Number of rows of the matrix, a multiple of 4.
 * @param columns Number of columns.
 */
export function addProduct(
  out: Float32Array,
  rows: number,
  factors: Float32Array,
  matrix: Float32Array,
  inner: number,
  columns: number,
): void {
  for (let row = 0; row < rows; row += 2) {
    const x = row * columns;
    const y = x + columns;
    for (let from = 0; from < inner; from += 4) {
      const p = row * inner + from;
      const q = p + inner;
      const xa = factors[p]!, xb = factors[p + 1]!, xc = factors[p + 2]!, xd = factors[p + 3]!;
      const ya = factors[q]!, yb = factors[q + 1]!, yc = factors[q + 2]!, yd = factors[q + 3]!;
      const a = from * columns;
      const b = a + columns;
      const c = b + columns;
      const d = c + columns;
      for (let at = 0; at < columns; at++) {
        const first = matrix[a + at]!;
        const second = matrix[b + at]!;
        const third = matrix[c + at]!;
        const fourth = matrix[d + at]!;
        out[x + at]! += xa * first + xb * second + xc * third + xd * fourth;
        out[y + at]! += ya * first + yb * second + yc * third + yd * fourth;
      }
    }
  }
}
