import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { readOrientation } from "../../images/exif.ts";
import { orientationOf, turnUpright } from "../../images/orientation.ts";
import { decodePicture } from "../../images/picture.ts";
import { artifactPixels, readPictureArtifact } from "../../images/picture_artifact.ts";
import cases from "./oriented_pictures.json" with { type: "json" };

Deno.test("pictures are turned upright like in Pillow", async () => {
  assert.equal(cases.length, 12);
  for (const { format, orientation, file, width, height, pixels } of cases) {
    const bytes = Uint8Array.fromBase64(file);
    const { format: found } = await decodePicture(bytes);
    assert.equal(found, format);
    assert.equal(orientationOf(bytes, found), orientation, format);
    const [upright] = artifactPixels(await readPictureArtifact(bytes));
    assert.deepEqual([upright!.width, upright!.height], [width, height]);
    const wanted = Uint8Array.fromBase64(pixels);
    const largest = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - upright!.data[i]!)), 0);
    // JPEG decoders round differently.
    assert(largest <= (format === "jpeg" ? 2 : 0), `${format} ${orientation}: off by ${largest}`);
  }
});

Deno.test("turning a picture there and back restores it", () => {
  const back: Readonly<Record<number, number>> = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6 };
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 6 }),
      (
        orientation,
        width,
        height,
      ) => {
        const pixels = { width, height, data: Uint8Array.from({ length: 3 * width * height }, (_, i) => i) };
        assert.deepEqual(turnUpright(turnUpright(pixels, orientation), back[orientation]!), pixels);
      },
    ),
  );
});

Deno.test("the orientation can be any type of integer, in either byte order", () => {
  for (const [type, bytes] of [[1, 1], [3, 2], [4, 4], [6, 1], [8, 2], [9, 4]] as const) {
    for (const little of [false, true]) {
      const block = new DataView(new ArrayBuffer(26));
      block.setUint32(0, little ? 0x49492a00 : 0x4d4d002a);
      block.setUint32(4, 8, little);
      block.setUint16(8, 1, little);
      block.setUint16(10, 0x0112, little);
      block.setUint16(12, type, little);
      block.setUint32(14, 1, little);
      block.setUint8(18 + (little ? 0 : bytes - 1), 6);
      assert.equal(readOrientation(new Uint8Array(block.buffer)), 6, `type ${type}`);
    }
  }
});
