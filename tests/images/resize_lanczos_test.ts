import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { resizeLanczos } from "../../images/resize_lanczos.ts";
import REFERENCE from "./resize_lanczos.json" with { type: "json" };

Deno.test("resizeLanczos() returns Pillow's bytes, whichever pass Pillow begins with", () => {
  assert.equal(REFERENCE.cases.length, 45);
  for (const { from, to, sha256 } of REFERENCE.cases) {
    const [[width, height], [newWidth, newHeight]] = [from, to] as [[number, number], [number, number]];
    const data = Uint8Array.from({ length: width * height * 3 }, (_, at) => {
      const [x, y, channel] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width), at % 3];
      return (x * 7 + y * 13 + channel * 29) ** 2 % 251;
    });
    const resized = resizeLanczos({ width, height, data }, newHeight, newWidth);
    assert.equal(createHash("sha256").update(resized.data).digest("hex"), sha256, `${from} to ${to}`);
  }
});
