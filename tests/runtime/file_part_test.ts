import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { joinParts, nameFilePart, parseFilePart } from "../../runtime/file_part.ts";

const part = fc.record({
  file: fc.constantFrom("a.safetensors", "b.safetensors"),
  start: fc.nat(5_000_000),
  length: fc.integer({ min: 1, max: 300_000 }),
}).map(({ file, start, length }) => ({ file, start, end: start + length }));

Deno.test("parseFilePart() parses the names of parts", () => {
  fc.assert(fc.property(part, (one) => assert.deepEqual(parseFilePart(nameFilePart(one)), one)));
});

Deno.test("parseFilePart() refuses names that are not parts", () => {
  for (const name of ["model.safetensors", "model.safetensors?bytes=1", "?bytes=0-1", "m?bytes=0-1x"]) {
    assert.throws(() => parseFilePart(name), { name: "InputError", message: /a part of a file/ });
  }
});

Deno.test("joinParts() covers every part once, in ranges that do not touch", () => {
  fc.assert(fc.property(fc.array(part), (parts) => {
    const spans = joinParts(parts);
    const held = spans.flatMap(({ parts }) => parts);
    assert.deepEqual(held.map(nameFilePart).sort(), parts.map(nameFilePart).sort());
    for (const [index, { file, start, end, parts }] of spans.entries()) {
      assert.ok(parts.every((one) => one.file === file && start <= one.start && one.end <= end));
      const before = spans[index - 1];
      if (before?.file === file) assert.ok(start - before.end > 64 * 1024);
    }
  }));
});
