import { deepEqual, throws } from "node:assert/strict";
import { sideBySide } from "../../images/side_by_side.ts";

Deno.test("sideBySide() fills the gap and the area below the shorter picture", () => {
  const left = { width: 1, height: 2, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
  const right = { width: 1, height: 1, data: Uint8Array.of(7, 8, 9) };
  deepEqual(sideBySide(left, right, { gap: 1, background: [0, 128, 255] }), {
    width: 3,
    height: 2,
    // deno-fmt-ignore
    data: Uint8Array.of(
      1, 2, 3, 0, 128, 255, 7, 8, 9,
      4, 5, 6, 0, 128, 255, 0, 128, 255,
    ),
  });
});

Deno.test("sideBySide() refuses a negative gap", () => {
  const pixels = { width: 1, height: 1, data: new Uint8Array(3) };
  throws(() => sideBySide(pixels, pixels, { gap: -1 }), { code: "out_of_range" });
});
