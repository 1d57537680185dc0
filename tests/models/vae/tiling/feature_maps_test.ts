import assert from "node:assert/strict";
import { tensor } from "../../../../artifacts/tensor.ts";
import { FeatureMaps } from "../../../../models/vae/tiling/feature_maps.ts";
import { fc } from "../../../random.ts";

/** Returns the values of some rows, each of which holds its own number. */
function numbered(first: number, end: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: 6 * (end - first) }, (_, index) => first + Math.floor(index / 6));
}

Deno.test("feature maps return rows across strips, and keep those below a released row", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }),
      fc.array(fc.tuple(fc.nat(20), fc.nat(20)), { maxLength: 8 }),
      (heights, reads) => {
        const rows = heights.reduce((sum, height) => sum + height, 0);
        const maps = new FeatureMaps({ rows, channels: 2, width: 3 });
        let end = 0;
        for (const height of heights) {
          maps.append(tensor("float32", [height, 2, 3], numbered(end, end + height)));
          end += height;
        }
        let released = 0;
        for (const [skipped, height] of reads) {
          const first = Math.min(rows - 1, released + skipped);
          const end = Math.min(rows, first + 1 + height);
          const { shape, data } = maps.read(first, end);
          released = Math.min(first + Math.floor(height / 2), rows - 1);
          maps.releaseAbove(released);
          assert.deepEqual(shape, [end - first, 2, 3]);
          assert.deepEqual(data, numbered(first, end), "a later release leaves what was read");
        }
        maps.release();
        assert.equal(maps.strips.length, 0);
      },
    ),
  );
});

Deno.test("feature maps release the memory of rows at once, and refuse to read them", () => {
  const maps = new FeatureMaps({ rows: 8, channels: 2, width: 3 });
  const above = numbered(0, 4);
  maps.append(tensor("float32", [4, 2, 3], above));
  maps.append(tensor("float32", [4, 2, 3], numbered(4, 8)));
  maps.releaseAbove(3);
  assert.equal(above.length, 0);
  assert.deepEqual(maps.read(3, 6).data, numbered(3, 6));
  assert.throws(() => maps.read(2, 6), { code: "internal" });
});
