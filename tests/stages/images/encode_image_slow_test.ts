import assert from "node:assert/strict";
import { encoderCasesAtHand, matchEncoding } from "./encode_image_cases.ts";

for (const tiling of ["none", "seamless"] as const) {
  Deno.test(`encode-image matches the reference in every case, tiling ${tiling}`, async () => {
    let ran = 0;
    for (const golden of encoderCasesAtHand) {
      await matchEncoding(golden, { tiling, decodes: tiling === "none" });
      ran++;
    }
    assert.equal(ran, encoderCasesAtHand.length);
    assert(ran >= 14);
  });
}
