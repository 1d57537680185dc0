import { deepEqual, equal, rejects } from "node:assert/strict";
import decode, { init } from "@jsquash/webp/decode.js";
import encode from "@jsquash/webp/encode.js";
import { decodePicture, encodePicture } from "../../images/picture.ts";
import { fromRgba, toRgba } from "../../images/rgba.ts";
import { provideWasmCodec, WasmCodec } from "../../images/wasm_codec.ts";

const PIXELS = { width: 16, height: 16, data: new Uint8Array(768).fill(128) };

Deno.test("WasmCodec uses a provided module instead of fetching it", async () => {
  const folder = import.meta.resolve("@jsquash/webp/decode.js");
  const response = await fetch(new URL("codec/dec/webp_dec.wasm", folder));
  const module = await WebAssembly.compile(await response.arrayBuffer());
  const file = await encode(toRgba(PIXELS), { quality: 100 });

  provideWasmCodec("webp-decoder", module);
  const realFetch = globalThis.fetch;
  globalThis.fetch = () => Promise.reject(new Error("a codec fetched its module"));
  try {
    const codec = new WasmCodec("webp-decoder", init);
    deepEqual(fromRgba(await codec.run(() => decode(file))), PIXELS);
  } finally {
    globalThis.fetch = realFetch;
  }
});

Deno.test("WasmCodec separates concurrent jobs and recovers from a failure", async () => {
  const good = await encodePicture(PIXELS, { format: "jpeg" });
  const bad = good.subarray(0, good.length - 8);
  const results = await Promise.allSettled([good, bad, good, bad, good].map((bytes) => decodePicture(bytes)));
  deepEqual(results.map(({ status }) => status), [
    "fulfilled",
    "rejected",
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
});

Deno.test("WasmCodec distinguishes a codec that cannot be loaded from damaged input", async () => {
  const codec = new WasmCodec("jpeg-decoder", () => Promise.reject(new TypeError("no network")));
  await rejects(codec.run(() => Promise.resolve()), TypeError);
  let attempts = 0;
  const late = new WasmCodec("jpeg-decoder", () => {
    attempts++;
    return attempts === 1 ? Promise.reject(new TypeError("no network")) : Promise.resolve();
  });
  await rejects(late.run(() => Promise.resolve(1)), TypeError);
  equal(await late.run(() => Promise.resolve(2)), 2);
});
