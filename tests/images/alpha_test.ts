import assert from "node:assert/strict";
import { decodePicture } from "../../images/picture.ts";
import { transparentPart } from "../../images/picture_artifact.ts";
import { fromRgba } from "../../images/rgba.ts";
import { turnUpright } from "../../images/orientation.ts";
import { inputPath, sha256 } from "../stages/images/picture_goldens.ts";

Deno.test("a picture's alpha matches Pillow's, and an opaque picture has none", async () => {
  const { pixels } = await decodePicture(Deno.readFileSync(inputPath("rgba-66x66")));
  assert.equal(sha256(pixels.alpha!), "69dbd986418e645d172f64e9c1f3b142f0aedad66887908cf91fc6a6467fa1b0");
  const opaque = await decodePicture(Deno.readFileSync(inputPath("palette-72x40")));
  assert.equal(opaque.pixels.alpha, undefined);
});

Deno.test("transparent parts become white in a mask, upright like the picture", () => {
  const data = new Uint8ClampedArray([1, 2, 3, 255, 4, 5, 6, 0]);
  const pixels = fromRgba({ width: 2, height: 1, data, colorSpace: "srgb" } as ImageData);
  assert.deepEqual(pixels.alpha, Uint8Array.of(255, 0));
  assert.deepEqual(transparentPart(pixels)!.data, Uint8Array.of(0, 0, 0, 255, 255, 255));
  const turned = turnUpright(pixels, 6);
  assert.deepEqual([turned.width, turned.height, turned.alpha], [1, 2, Uint8Array.of(255, 0)]);
  assert.equal(transparentPart({ width: 1, height: 1, data: new Uint8Array(3) }), undefined);
});
