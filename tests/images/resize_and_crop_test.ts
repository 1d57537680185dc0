import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { fc } from "../random.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { resizeAndCrop } from "../../images/resize_and_crop.ts";
import { goldenJson } from "../goldens.ts";
import { goldenTensors } from "./golden_tensors.ts";

const { resize_and_crop: cases } = goldenJson<{
  resize_and_crop: { in: string; out: string; new_width: number; new_height: number }[];
}>("units/images.json");

for (const { in: input, out: output, new_width: width, new_height: height } of cases) {
  Deno.test(`resizeAndCrop() matches the reference, ${input} to ${height} × ${width}`, () => {
    const { float32 } = goldenTensors("units/images.safetensors");
    const expected = float32(output);
    const actual = resizeAndCrop(float32(input), height, width);
    deepEqual(actual.shape, expected.shape);
    let largest = 0;
    for (const [i, value] of expected.data.entries()) {
      largest = Math.max(largest, Math.abs(value - actual.data[i]!));
    }
    ok(largest <= 3e-5, `largest difference is ${largest}`);
  });
}

Deno.test("resizeAndCrop() returns the requested size and stays within the range of values", () => {
  const size = fc.integer({ min: 1, max: 100 });
  fc.assert(fc.property(size, size, size, size, (oldHeight, oldWidth, height, width) => {
    const data = Float32Array.from({ length: 3 * oldHeight * oldWidth }, (_, i) => Math.sin(i * i));
    const resized = resizeAndCrop(tensor("float32", [1, 3, oldHeight, oldWidth], data), height, width);
    deepEqual(resized.shape, [1, 3, height, width]);
    ok(resized.data.every((value) => Math.abs(value) <= 1));
  }));
});

Deno.test("resizeAndCrop() returns a picture of the right size unchanged", () => {
  const image = tensor("float32", [1, 3, 2, 2], new Float32Array(12));
  equal(resizeAndCrop(image, 2, 2), image);
});

Deno.test("resizeAndCrop() refuses invalid sizes", () => {
  const image = tensor("float32", [1, 3, 2, 2], new Float32Array(12));
  throws(() => resizeAndCrop(image, 0, 2), { code: "out_of_range" });
  throws(() => resizeAndCrop(image, 2, 1.5), { code: "out_of_range" });
  throws(() => resizeAndCrop(tensor("float32", [1, 3, 0, 2], new Float32Array(0)), 2, 2), {
    code: "invalid_shape",
  });
});
