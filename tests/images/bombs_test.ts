import assert from "node:assert/strict";
import { zlibSync } from "fflate";
import { inflateAtMost } from "../../images/inflate.ts";
import { decodePicture, encodePicture, readPictureHeader } from "../../images/picture.ts";
import { readWebpChunks, writeWebpChunks } from "../../images/webp_chunks.ts";
import { encodeExif } from "../../images/exif.ts";
import { pngWith, textChunk, zeros } from "./bombs.ts";

/** Longest time in milliseconds; whoever inflates a bomb, or takes quadratic time, needs far more. */
const LONGEST_MS = 2000;

const MEBIBYTE = 1 << 20;

async function soon<T>(work: () => T | Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await work();
  const ms = performance.now() - began;
  assert(ms < LONGEST_MS, `${ms} ms`);
  return result;
}

Deno.test("data after the end of a zlib stream is not copied again and again", async () => {
  const ended = zlibSync(Uint8Array.of(1, 2, 3));
  const data = new Uint8Array(64 * MEBIBYTE);
  data.set(ended);
  assert.deepEqual(await soon(() => inflateAtMost(data, 10)), Uint8Array.of(1, 2, 3));
});

Deno.test("a PNG whose pixels inflate to 2 GB is decoded without the rest", async () => {
  const bomb = pngWith([], zeros(2048));
  const { pixels } = await soon(() => decodePicture(bomb));
  assert.deepEqual([...pixels.data], [0, 0, 0]);
});

for (const [type, fields] of [["zTXt", "parameters\0\0"], ["iTXt", "parameters\0\x01\0\0\0"]] as const) {
  Deno.test(`a ${type} text that inflates to 2 GB is cut off after 1 MiB`, async () => {
    const bomb = pngWith([textChunk(type, fields, zeros(2048, 65))]);
    const { metadata } = await soon(() => readPictureHeader(bomb));
    assert.equal(metadata["parameters"], "A".repeat(MEBIBYTE));
  });
}

Deno.test("many compressed texts share a limit, damaged ones too", async () => {
  const texts = Array.from({ length: 900 }, (_, i) => textChunk("zTXt", `k${i}\0\0`, zeros(20)));
  assert.equal(Object.keys((await soon(() => readPictureHeader(pngWith(texts)))).metadata).length, 4);
  const broken = texts.map(({ type, data }) => ({
    type,
    data: Uint8Array.from([...data.subarray(0, 900), 7]),
  }));
  assert.deepEqual((await soon(() => readPictureHeader(pngWith(broken)))).metadata, {});
});

Deno.test("the first 1000 texts of a PNG are read, and the first MiB of each", async () => {
  const many = Array.from({ length: 100_000 }, (_, i) => textChunk("tEXt", `k${i}\0a`));
  assert.equal(Object.keys((await soon(() => readPictureHeader(pngWith(many)))).metadata).length, 1000);
  const long = { type: "tEXt", data: new Uint8Array(23_000_000).fill(65) };
  long.data.set(new TextEncoder().encode("parameters\0"));
  const { metadata } = await soon(() => readPictureHeader(pngWith([long, textChunk("tEXt", "note\0short")])));
  assert.deepEqual(metadata, { parameters: "A".repeat(MEBIBYTE), note: "short" });
});

Deno.test("Exif with more texts than pixstage reads, or with zeros in between, takes no long", async () => {
  const plain = await encodePicture({ width: 1, height: 1, data: new Uint8Array(3) }, { format: "webp" });
  const webp = (exif: Uint8Array) =>
    writeWebpChunks([...readWebpChunks(plain), { type: "EXIF", data: exif }]);
  const keys = Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [`${i}`, ""]));
  const many = encodeExif(keys);
  const { metadata } = await soon(() => readPictureHeader(webp(many)));
  assert.deepEqual(Object.keys(metadata), ["description"]);
  const zeroed = encodeExif({ note: "a".repeat(1_000_000) });
  const start = zeroed.findIndex((byte, i) => byte === 97 && zeroed[i + 1] === 97);
  zeroed.fill(0, start, start + 999_999);
  const read = await soon(() => readPictureHeader(webp(zeroed)));
  assert.match(read.metadata["description"]!, /^\{"note":"\0+a"\}$/);
});

Deno.test("only one of a JPEG's many Exif segments is read", async () => {
  const note = "b".repeat(60_000);
  const jpeg = await encodePicture(
    { width: 1, height: 1, data: new Uint8Array(3) },
    { format: "jpeg", metadata: { note } },
  );
  const at = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xe1);
  const segment = jpeg.subarray(at, at + 2 + (jpeg[at + 2]! << 8 | jpeg[at + 3]!));
  const bytes = new Uint8Array(jpeg.length + 400 * segment.length);
  bytes.set(jpeg.subarray(0, at));
  for (let i = 0; i < 400; i++) bytes.set(segment, at + i * segment.length);
  bytes.set(jpeg.subarray(at), at + 400 * segment.length);
  assert.deepEqual((await soon(() => readPictureHeader(bytes))).metadata, { note });
});
