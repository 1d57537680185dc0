import assert from "node:assert/strict";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import { open } from "../../local.ts";
import { goldenPath } from "../goldens.ts";

const model = goldenPath("checkpoints/tiny-alpha-512");
const SMALL = { width: 64, height: 64, resolutionBinning: false, steps: 2, prompt: "cat" };

Deno.test("pixels of another length than width × height × 3 are refused before anything runs", async () => {
  await using pix = await open({ model, store: new MemoryStore(), threads: 1 });
  const events: string[] = [];
  const onEvent = ({ type }: { readonly type: string }) => events.push(type);
  const pixels = (values: number) => ({ width: 64, height: 64, data: new Uint8Array(values) });
  const refused = async (picture: object, message: RegExp) =>
    await assert.rejects(pix.generate({ ...SMALL, ...picture, onEvent }), { code: "invalid_shape", message });
  const rgba = pixels(64 * 64 * 4);
  await refused({ image: rgba }, /: RGB is expected, not RGBA\./);
  await refused({ image: pixels(64 * 64 * 3), mask: rgba }, /: RGB is expected, not RGBA\./);
  await refused({ image: pixels(10) }, /with 10 values: .*data must have width × height × 3 values/);
  assert.deepEqual(events, []);
});
