/**
 * Provides the codecs with their WebAssembly in Node, whose `fetch` cannot read files. Importing this module
 * is enough; it has no effect elsewhere.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { provideWasmCodec, type WasmCodecName } from "./wasm_codec.ts";

/** The packages' paths of the codecs' modules. */
const FILES: Readonly<Record<WasmCodecName, string>> = {
  "jpeg-decoder": "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm",
  "jpeg-encoder": "@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm",
  "webp-decoder": "@jsquash/webp/codec/dec/webp_dec.wasm",
  "webp-encoder": "@jsquash/webp/codec/enc/webp_enc_simd.wasm",
};

if (typeof Deno === "undefined") {
  const require = createRequire(import.meta.url);
  for (const [name, file] of Object.entries(FILES)) {
    provideWasmCodec(
      name as WasmCodecName,
      async () => await WebAssembly.compile(Uint8Array.from(await readFile(require.resolve(file)))),
    );
  }
}
