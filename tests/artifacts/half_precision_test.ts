import assert from "node:assert/strict";
import type { Float8DType } from "../../artifacts/float8.ts";
import { fc } from "../random.ts";
import { fromFloat32, toFloat32 } from "../../artifacts/half_precision.ts";
import { tensor } from "../../artifacts/tensor.ts";

const ALL_BITS = Uint16Array.from({ length: 1 << 16 }, (_, index) => index);

/** Returns the value of a binary floating point number by definition, independent of any hardware. */
function valueOf(bits: number, exponentBits: number, mantissaBits: number): number {
  const sign = bits >>> 15 ? -1 : 1;
  const exponent = (bits >>> mantissaBits) & ((1 << exponentBits) - 1);
  const mantissa = bits & ((1 << mantissaBits) - 1);
  const bias = (1 << (exponentBits - 1)) - 1;
  if (exponent === (1 << exponentBits) - 1) return mantissa ? NaN : sign * Infinity;
  const significand = exponent === 0 ? mantissa : mantissa + (1 << mantissaBits);
  return sign * significand * 2 ** (Math.max(exponent, 1) - bias - mantissaBits);
}

const FORMATS = [["float16", 5, 10], ["bfloat16", 8, 7]] as const;

for (const [dtype, exponentBits, mantissaBits] of FORMATS) {
  Deno.test(`toFloat32() returns the value of all 65536 ${dtype} numbers, and fromFloat32() their bits`, () => {
    const { data } = toFloat32(tensor(dtype, [ALL_BITS.length], ALL_BITS));
    const back = fromFloat32(data, dtype);
    for (const bits of ALL_BITS) {
      const expected = valueOf(bits, exponentBits, mantissaBits);
      assert(Object.is(data[bits], expected), `${bits}`);
      if (Number.isNaN(expected)) assert(Number.isNaN(valueOf(back[bits]!, exponentBits, mantissaBits)));
      else assert.equal(back[bits], bits);
    }
  });

  Deno.test(`fromFloat32() rounds to the nearest ${dtype}, ties to even`, () => {
    const largest = valueOf(((1 << exponentBits) - 1 << mantissaBits) - 1, exponentBits, mantissaBits);
    const unit = largest - valueOf(((1 << exponentBits) - 1 << mantissaBits) - 2, exponentBits, mantissaBits);
    const floats = fc.oneof(
      fc.float({ noNaN: true }),
      fc.nat(65535).chain((bits) => {
        // Values around the midpoint between two neighbours.
        const low = valueOf(bits & 0x7fff, exponentBits, mantissaBits);
        const high = valueOf((bits & 0x7fff) + 1, exponentBits, mantissaBits);
        const middle = (low + high) / 2;
        return fc.constantFrom(middle, middle * (1 + 2 ** -20), middle * (1 - 2 ** -20)).map(Math.fround);
      }),
    ).filter((value) => !Number.isNaN(value));
    fc.assert(
      fc.property(floats, (value) => {
        const bits = fromFloat32(new Float32Array([value]), dtype)[0]!;
        const rounded = valueOf(bits, exponentBits, mantissaBits);
        if (Math.abs(value) >= largest + unit / 2) return assert.equal(Math.abs(rounded), Infinity);
        const distance = Math.abs(rounded - value);
        for (const other of [bits - 1, bits + 1]) {
          const neighbour = valueOf(other & 0xffff, exponentBits, mantissaBits);
          if (!Number.isFinite(neighbour)) continue;
          const further = Math.abs(neighbour - value);
          assert(distance < further || (distance === further && (bits & 1) === 0), `${value}`);
        }
      }),
      { numRuns: 3000 },
    );
  });
}

Deno.test("toFloat32() returns float32 unchanged and refuses integers", () => {
  const value = tensor("float32", [1], new Float32Array([1.5]));
  assert.equal(toFloat32(value), value);
  assert.throws(() => toFloat32(tensor("int32", [1], new Int32Array(1)), "prompt_embeds"), {
    code: "invalid_shape",
    message: /^Cannot convert prompt_embeds from int32 to float32: /,
  });
});

Deno.test("toFloat32() rounds float64 to the nearest float32", () => {
  const { data } = toFloat32(tensor("float64", [3], Float64Array.of(0.1, 1 + 2 ** -24, -3e300)));
  assert.deepEqual(data, Float32Array.of(0.1, 1, -Infinity));
});

Deno.test("toFloat32() returns the value of 8-bit floats, as torch does", () => {
  const decode = (dtype: "float8e4m3fn" | "float8e5m2", ...bits: number[]): number[] => [
    ...toFloat32(tensor<Float8DType>(dtype, [bits.length], Uint8Array.from(bits))).data,
  ];
  assert.deepEqual(
    decode("float8e4m3fn", 0x00, 0x80, 0x01, 0x07, 0x08, 0x38, 0xb8, 0x7e, 0xfe, 0x7f, 0xff),
    [0, -0, 2 ** -9, 7 * 2 ** -9, 2 ** -6, 1, -1, 448, -448, NaN, NaN],
  );
  assert.deepEqual(
    decode("float8e5m2", 0x00, 0x80, 0x01, 0x03, 0x04, 0x3c, 0xbc, 0x7b, 0x7c, 0xfc, 0x7e),
    [0, -0, 2 ** -16, 3 * 2 ** -16, 2 ** -14, 1, -1, 57344, Infinity, -Infinity, NaN],
  );
});
