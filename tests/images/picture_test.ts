import { deepEqual, equal, notDeepEqual, ok, rejects, throws } from "node:assert/strict";
import { fc } from "../random.ts";
import { encode } from "fast-png";
import {
  decodePicture,
  encodePicture,
  type EncodePictureOptions,
  PICTURE_FORMATS,
  readPictureHeader,
} from "../../images/picture.ts";
import type { Pixels } from "../../images/pixels.ts";
import { readPngChunks, writePngChunks } from "../../images/png_chunks.ts";
import { psnr } from "../../images/similarity.ts";
import { FormatError, InputError } from "../../errors/pixstage_error.ts";
import { goldenPath } from "../goldens.ts";
import { FOREIGN_PICTURES } from "./foreign_pictures.ts";

const TEXTS = {
  parameters: "Ein Bär isst 猫 🐱\nSteps: 20, Seed: 7",
  pixstage: JSON.stringify({ prompt: 'say "hi" \\ ✓', seed: 7 }),
  "Latin 1": "déjà vu",
};

/** A smooth picture that contains all three colours. */
function gradient(width: number, height: number): Pixels {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    const x = (pixel % width) / width;
    const y = Math.floor(pixel / width) / height;
    return [255 * x, 255 * y, 255 * (1 - x) * y][i % 3]!;
  });
  return { width, height, data };
}

for (const format of PICTURE_FORMATS) {
  Deno.test(`decodePicture() restores the output of encodePicture(), ${format}`, async () => {
    const pixels = gradient(67, 45);
    const bytes = await encodePicture(pixels, { format, metadata: TEXTS });
    const picture = await decodePicture(bytes);
    equal(picture.format, format);
    deepEqual(picture.metadata, TEXTS);
    ok(psnr(picture.pixels, pixels) > (format === "png" ? 1000 : 35));
    deepEqual(readPictureHeader(bytes), { format, width: 67, height: 45, metadata: TEXTS });
  });

  Deno.test(`encodePicture() writes the same bytes for the same picture, ${format}`, async () => {
    const pixels = gradient(33, 17);
    const bytes = await encodePicture(pixels, { format, metadata: { a: "1", b: "2" } });
    deepEqual(await encodePicture(gradient(33, 17), { format, metadata: { b: "2", a: "1" } }), bytes);
    notDeepEqual(await encodePicture(pixels, { format, metadata: { a: "1", b: "3" } }), bytes);
  });

  Deno.test(`encodePicture() keeps any text, ${format}`, async () => {
    const key = fc.stringMatching(/^[!-~]([ -~]{0,8}[!-~])?$/).filter((text) => text !== "__proto__");
    const text = fc.string({ unit: "binary" }).filter((value) => !value.includes("\0"));
    await fc.assert(
      fc.asyncProperty(fc.dictionary(key, text, { noNullPrototype: true }), async (metadata) => {
        const bytes = await encodePicture(gradient(2, 2), { format, metadata });
        deepEqual(readPictureHeader(bytes).metadata, metadata);
      }),
      { numRuns: 50 },
    );
  });

  Deno.test(`decodePicture() refuses ${format} files that are truncated`, async () => {
    const bytes = await encodePicture(gradient(40, 40), { format, metadata: TEXTS });
    for (let length = 0; length < bytes.length - 2; length += 1 + Math.floor(bytes.length / 40)) {
      await rejects(decodePicture(bytes.subarray(0, length)), FormatError, `${length} bytes`);
    }
    await decodePicture(bytes);
  });

  Deno.test(`decodePicture() refuses or reads damaged ${format} files, and continues to work`, async () => {
    const bytes = await encodePicture(gradient(20, 20), { format, metadata: TEXTS });
    const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const damaged = bytes.slice();
        for (const [at, value] of changes) damaged[at] = value;
        try {
          const { pixels } = await decodePicture(damaged, { maxPixels: 1_000_000 });
          equal(pixels.data.length, pixels.width * pixels.height * 3);
        } catch (error) {
          ok(error instanceof FormatError || error instanceof InputError, String(error));
        }
      }),
      { numRuns: 100 },
    );
    await decodePicture(bytes);
  });

  Deno.test(`decodePicture() refuses ${format} pictures with too many pixels`, async () => {
    const bytes = await encodePicture(gradient(20, 20), { format });
    await rejects(decodePicture(bytes, { maxPixels: 399 }), { code: "out_of_range" });
    await decodePicture(bytes, { maxPixels: 400 });
  });
}

for (const { name, base64, rgb } of FOREIGN_PICTURES) {
  const refused = name === "CMYK JPEG" || name === "animated WebP";
  Deno.test(`decodePicture() ${refused ? "refuses" : "reads"} Pillow's ${name}`, async () => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    if (refused) {
      await rejects(decodePicture(bytes), FormatError);
      return;
    }
    const { pixels, metadata } = await decodePicture(bytes);
    deepEqual([pixels.width, pixels.height], [3, 2]);
    deepEqual([...pixels.data], rgb);
    if (name.includes("comment")) deepEqual(metadata, { parameters: "ein Bär 猫, Steps: 20" });
    if (name.includes("texts")) {
      deepEqual(metadata, {
        parameters: "a cat, Steps: 20",
        note: "ein Bär ✓ 猫",
        long: "again ".repeat(8),
        packed: "猫".repeat(8),
      });
    }
  });
}

Deno.test("decodePicture() reads the reference's PNG", async () => {
  const path = "cases/a512-01-basic.png";
  const { pixels } = await decodePicture(Deno.readFileSync(goldenPath(path)));
  deepEqual(await decodePicture(await encodePicture(pixels, { format: "png" })), {
    pixels,
    metadata: {},
    format: "png",
  });
});

Deno.test("decodePicture() reads interlaced PNG", async () => {
  const pixels = gradient(13, 11);
  const bytes = encode({ ...pixels, channels: 3 }, { interlace: "Adam7" });
  deepEqual((await decodePicture(bytes)).pixels, pixels);
});

Deno.test("decodePicture() refuses PNG files with fewer rows than in the header", async () => {
  const chunks = readPngChunks(await encodePicture(gradient(5, 5), { format: "png" }));
  new DataView(chunks[0]!.data.buffer, chunks[0]!.data.byteOffset).setUint32(4, 9000);
  await rejects(decodePicture(writePngChunks(chunks)), /its data is damaged/);
});

Deno.test("decodePicture() refuses files that are not pictures", async () => {
  await rejects(decodePicture(new Uint8Array(0)), /starts with nothing/);
  await rejects(decodePicture(new TextEncoder().encode("GIF89a")), FormatError);
  throws(() => readPictureHeader(new TextEncoder().encode("RIFF....WAVE")), FormatError);
});

Deno.test("encodePicture() refuses options that it cannot use", async () => {
  const pixels = gradient(2, 2);
  const refuse = (options: Partial<EncodePictureOptions>, error: { readonly code: string }) =>
    rejects(encodePicture(pixels, { format: "jpeg", ...options }), error);
  await refuse({ quality: 101 }, { code: "out_of_range" });
  await refuse({ quality: NaN }, { code: "out_of_range" });
  await refuse({ metadata: { "": "text" } }, { code: "invalid_value" });
  await refuse({ metadata: { "schlüssel": "text" } }, { code: "invalid_value" });
  await refuse({ metadata: { key: "a\0b" } }, { code: "invalid_value" });
  await refuse({ metadata: { key: "x".repeat(70_000) } }, { code: "out_of_range" });
  await refuse({ format: "gif" as "png" }, { code: "invalid_value" });
  await rejects(
    encodePicture({ width: 2, height: 2, data: new Uint8Array(3) }, { format: "webp" }),
    { code: "invalid_shape" },
  );
  const long = { width: 70_000, height: 1, data: new Uint8Array(210_000) };
  await rejects(encodePicture(long, { format: "jpeg" }), { code: "out_of_range" });
  await rejects(encodePicture(long, { format: "webp" }), { code: "out_of_range" });
});
