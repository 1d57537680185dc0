import { deepEqual, equal, throws } from "node:assert/strict";
import { fc } from "../random.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { fromPixels, toPixels } from "../../images/pixels.ts";
import { goldenTensors } from "./golden_tensors.ts";

Deno.test("toPixels() rounds and clamps exactly like the reference", () => {
  const { float32, uint8 } = goldenTensors("units/images.safetensors");
  const pictures = toPixels(float32("postprocess/in"));
  equal(pictures.length, 1);
  deepEqual([pictures[0]!.height, pictures[0]!.width, 3], uint8("postprocess/out").shape);
  deepEqual(pictures[0]!.data, uint8("postprocess/out").data);
});

Deno.test("toPixels() reverses fromPixels()", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 3 }),
    fc.infiniteStream(fc.integer({ min: 0, max: 255 })),
    (width, height, count, values) => {
      const pictures = Array.from({ length: count }, () => ({
        width,
        height,
        data: Uint8Array.from({ length: width * height * 3 }, () => values.next().value as number),
      }));
      const image = fromPixels(pictures);
      deepEqual(image.shape, [count, 3, height, width]);
      deepEqual(toPixels(image), pictures);
    },
  ));
});

Deno.test("toPixels() turns NaN into black", () => {
  const image = tensor("float32", [1, 3, 1, 1], Float32Array.of(NaN, Infinity, -Infinity));
  deepEqual(toPixels(image)[0]!.data, Uint8Array.of(0, 255, 0));
});

Deno.test("toPixels() and fromPixels() refuse other shapes", () => {
  throws(() => toPixels(tensor("float32", [1, 4, 1, 1], new Float32Array(4))), { code: "invalid_shape" });
  throws(() => toPixels(tensor("float32", [3, 1, 1], new Float32Array(3))), { code: "invalid_shape" });
  throws(() => fromPixels([]), { code: "invalid_shape" });
  throws(() => fromPixels([{ width: 2, height: 1, data: new Uint8Array(3) }]), { code: "invalid_shape" });
  throws(
    () =>
      fromPixels([{ width: 1, height: 1, data: new Uint8Array(3) }, {
        width: 2,
        height: 1,
        data: new Uint8Array(6),
      }]),
    { code: "invalid_shape" },
  );
});
