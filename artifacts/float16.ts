// This module is browser compatible.

/**
 * Floats of 16 bits with 5 bits of exponent, stored as their bits. Node before version 24 lacks
 * `Float16Array`, which takes the same time. Source: IEEE 754-2019, binary16. The addition that rounds
 * subnormals is by Fabian Giesen (https://gist.github.com/rygorous/2156668).
 *
 * @module
 */

/**
 * Bits of float32: from where float16 is infinite, from where it is normal, and the constant that rounds
 * subnormals.
 */
const INFINITE_FROM = 0x477ff000;
const NORMAL_FROM = 0x38800000;
const HALF = 0x3f000000;
const INFINITY = 0x7f800000;
const FLOAT16_INFINITY = 0x7c00;
const FLOAT16_NAN = 0x7e00;

let values: Float32Array | undefined;

/**
 * Converts float16 to float32.
 *
 * @param bits The float16 numbers as their bits.
 * @returns The values. All of them are exact in float32.
 */
export function fromFloat16Bits(bits: Uint16Array): Float32Array<ArrayBuffer> {
  values ??= Float32Array.from({ length: 1 << 16 }, (_, index) => float16Value(index));
  const table = values;
  const found = new Float32Array(bits.length);
  for (let index = 0; index < bits.length; index++) found[index] = table[bits[index]!]!;
  return found;
}

/**
 * Rounds to the nearest float16 number, ties to even.
 *
 * @param values The values.
 * @returns The numbers as their bits.
 */
export function toFloat16Bits(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const sum = new Float32Array(1);
  const sumWord = new Uint32Array(sum.buffer);
  const bits = new Uint16Array(values.length);
  for (let index = 0; index < bits.length; index++) {
    const word = words[index]!;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    if (magnitude >= INFINITE_FROM) {
      bits[index] = sign | (magnitude > INFINITY ? FLOAT16_NAN : FLOAT16_INFINITY);
    } else if (magnitude >= NORMAL_FROM) {
      // Half a unit minus one, plus the lowest kept bit; then the other exponent bias.
      bits[index] = sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1)) >>> 13) - (112 << 10);
    } else {
      // Near 0.5 the unit of float32 is that of float16's subnormals.
      sum[0] = Math.abs(values[index]!) + 0.5;
      bits[index] = sign | sumWord[0]! - HALF;
    }
  }
  return bits;
}

/** Returns the value of one float16 number, given by its bits. */
export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = bits >>> 10 & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  const isSubnormal = exponent === 0;
  return sign * (isSubnormal ? fraction / 1024 : 1 + fraction / 1024) * 2 ** (Math.max(exponent, 1) - 15);
}
