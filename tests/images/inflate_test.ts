import assert from "node:assert/strict";
import { zlibSync } from "fflate";
import { fc } from "../random.ts";
import { inflateAtMost } from "../../images/inflate.ts";
import { decodePng } from "../../images/png.ts";
import { writePngChunks } from "../../images/png_chunks.ts";
import { decodePngTexts } from "../../images/png_text.ts";

Deno.test("inflateAtMost() returns the content up to a limit", () => {
  const content = fc.uint8Array({ maxLength: 20_000 });
  fc.assert(fc.property(content, fc.nat(25_000), fc.integer({ min: 0, max: 9 }), (content, most, level) => {
    const data = zlibSync(content, { level: level as 0 });
    assert.deepEqual(inflateAtMost(data, most), content.subarray(0, most));
  }));
});

Deno.test("inflateAtMost() refuses damaged and truncated data", () => {
  const data = zlibSync(Uint8Array.from({ length: 9000 }, (_, i) => i * i % 251));
  assert.throws(() => inflateAtMost(data.subarray(0, 3), 9000));
  assert.throws(() => inflateAtMost(new Uint8Array(100).fill(0xff), 9000));
  assert.throws(() => inflateAtMost(data.subarray(0, data.length - 500), 9000));
});

Deno.test("a small file that announces much is read without inflating all of it", () => {
  const bomb = zlibSync(new Uint8Array(1 << 28));
  const header = { type: "IHDR", data: Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0) };
  const text = {
    type: "zTXt",
    data: Uint8Array.from({ length: bomb.length + 3 }, (_, i) => i < 3 ? (i === 0 ? 97 : 0) : bomb[i - 3]!),
  };
  const end = { type: "IEND", data: new Uint8Array() };
  const file = writePngChunks([header, text, { type: "IDAT", data: bomb }, end]);
  const before = Deno.memoryUsage().external;
  assert.deepEqual(decodePng(file, 100).data, new Uint8Array(3));
  assert.equal(decodePngTexts([text])["a"]!.length, 1 << 20);
  assert(Deno.memoryUsage().external - before < 64e6);
});

Deno.test("only the first thousand texts of a file are read, and a megabyte of each", () => {
  const texts = Array.from({ length: 3000 }, (_, i) => ({
    type: "tEXt",
    data: new TextEncoder().encode(`k${i}\0${i === 0 ? "a".repeat(3 << 20) : "v"}`),
  }));
  const read = decodePngTexts(texts);
  assert.equal(Object.keys(read).length, 1000);
  assert.equal(read["k0"]!.length, 1 << 20);
});
