import assert from "node:assert/strict";
import { feathered } from "../../../server/studio/page/mask_feather.ts";

/** Returns a square in the middle of a picture of 41 × 31. */
const WIDTH = 41;
const MASK = Uint8ClampedArray.from({ length: WIDTH * 31 }, (_, at) => {
  const [x, y] = [at % WIDTH, Math.floor(at / WIDTH)];
  return x >= 14 && x < 27 && y >= 9 && y < 22 ? 255 : 0;
});
const sum = (mask: Uint8ClampedArray): number => mask.reduce((total, value) => total + value, 0);

Deno.test("a soft edge falls off like a Gaussian on both sides of the hard edge", () => {
  const soft = feathered(MASK, WIDTH, Math.sqrt(6));
  const row = soft.subarray(15 * WIDTH, 16 * WIDTH);
  // The integral of the Gaussian, from the edge between 13 and 14.
  for (const [x, share] of [[10, 0.076], [12, 0.27], [13, 0.419], [14, 0.581], [15, 0.73], [17, 0.924]]) {
    assert(Math.abs(row[x!]! / 255 - share!) < 0.03, `${x}: ${row[x!]}`);
  }
  assert.deepEqual([...row].reverse(), [...row], "as many pixels on either side");
  assert(Math.abs(sum(soft) / sum(MASK) - 1) < 0.01, "what it covers stays the same");
});

Deno.test("a mask without edges inside the picture remains unchanged", () => {
  const white = new Uint8ClampedArray(50).fill(255);
  assert.deepEqual(feathered(white, 10, 30), white);
  assert.equal(feathered(MASK, WIDTH, 0), MASK);
  assert.equal(feathered(new Uint8ClampedArray(), 0, 5).length, 0);
});
