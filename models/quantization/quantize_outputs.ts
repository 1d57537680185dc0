// This module is browser compatible.

/**
 * The largest quantized value. -128 is not used, so that a weight and its negative have the same rounding
 * error.
 */
const LARGEST = 127;

/** Builds a transposed 8-bit matrix [rows, columns] by quantizing its rows in order. */
export class QuantizedOutputs {
  /** Quantized values [columns, rows]. */
  readonly values: Int8Array<ArrayBuffer>;
  /** Scale of each row, [rows]. */
  readonly scales: Float32Array<ArrayBuffer>;
  readonly #columns: number;

  /**
   * @param rows Number of rows: outputs of the layer.
   * @param columns Number of columns: inputs of the layer.
   */
  constructor(rows: number, columns: number) {
    this.values = new Int8Array(rows * columns);
    this.scales = new Float32Array(rows);
    this.#columns = columns;
  }

  /**
   * Quantizes consecutive rows. The largest magnitude of each row maps to the largest value, and each weight
   * is rounded to the nearest value.
   *
   * @param values The rows, concatenated.
   * @param first Index of the first of these rows in the matrix.
   */
  add(values: Float32Array, first: number): void {
    const columns = this.#columns;
    const rows = this.scales.length;
    const end = first + values.length / columns;
    for (let row = first, start = 0; row < end; row++, start += columns) {
      let magnitude = 0;
      for (let at = start; at < start + columns; at++) magnitude = Math.max(magnitude, Math.abs(values[at]!));
      const scale = Math.fround(magnitude / LARGEST);
      this.scales[row] = scale;
      if (!(scale > 0)) continue;
      for (let column = 0; column < columns; column++) {
        const value = Math.round(values[start + column]! / scale);
        this.values[column * rows + row] = Math.max(-LARGEST, Math.min(LARGEST, value));
      }
    }
  }
}
