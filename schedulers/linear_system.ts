// This module is browser compatible.

/**
 * A float32 solver for small systems of linear equations.
 *
 * @module
 */

import { f32 } from "./float32.ts";

/**
 * Solves `matrix * x = right` by elimination with partial pivoting, rounded to float32 after every operation.
 *
 * @param matrix The rows of a square matrix.
 * @param right One number per row.
 * @returns `x`.
 */
export function solveLinear(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, index) => [...row, right[index]!]);
  const size = rows.length;
  for (let column = 0; column < size; column++) {
    const pivot = pivotRow(rows, column);
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (const row of rows.slice(column + 1)) subtractMultiple(row, rows[column]!, column);
  }
  const x = new Array<number>(size).fill(0);
  for (let index = size - 1; index >= 0; index--) {
    const row = rows[index]!;
    let rest = row[size]!;
    for (let later = index + 1; later < size; later++) rest = f32(rest - f32(row[later]! * x[later]!));
    x[index] = f32(rest / row[index]!);
  }
  return x;
}

function pivotRow(rows: readonly (readonly number[])[], column: number): number {
  let pivot = column;
  for (let row = column + 1; row < rows.length; row++) {
    if (Math.abs(rows[row]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = row;
  }
  return pivot;
}

function subtractMultiple(row: number[], pivot: readonly number[], column: number): void {
  const factor = f32(row[column]! / pivot[column]!);
  for (let at = column; at < row.length; at++) row[at] = f32(row[at]! - f32(factor * pivot[at]!));
}
