// This module is browser compatible.

/** The largest value of 8 bits; with the smallest left out, a weight and its negative are equally near. */
const LARGEST = 127;

/** A matrix [rows, columns] of 8 bits, transposed, as rows of it are quantized one after the other. */
export class QuantizedOutputs {
  /** Values [columns, rows]. */
  readonly values: Int8Array<ArrayBuffer>;
  /** What one unit of each row is worth, [rows]. */
  readonly scales: Float32Array<ArrayBuffer>;
  readonly #columns: number;

  /**
   * @param rows Rows of the matrix: outputs of the layer.
   * @param columns Columns of the matrix: inputs of the layer.
   */
  constructor(rows: number, columns: number) {
    this.values = new Int8Array(rows * columns);
    this.scales = new Float32Array(rows);
    this.#columns = columns;
  }

  /**
   * Quantizes some rows: of each the largest magnitude becomes the largest value, and each weight the nearest one.
   *
   * @param values The rows, one after the other.
   * @param first Which row of the matrix the first of them is.
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
