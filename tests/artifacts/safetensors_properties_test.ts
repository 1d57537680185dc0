import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { ARRAY_TYPES, bytesPerElement, type DType } from "../../artifacts/dtype.ts";
import { decodeSafetensors, encodeSafetensors } from "../../artifacts/safetensors.ts";
import { SafetensorsError } from "../../artifacts/safetensors_error.ts";
import { parseSafetensorsHeader } from "../../artifacts/safetensors_header.ts";
import { elementCount, type Tensor, tensor, tensorBytes } from "../../artifacts/tensor.ts";

const anyName = fc.oneof(
  fc.constantFrom("__proto__", "constructor", "", 'a"b\\c\n', "größe.權重.0", "\u{1f600}", "\uffff"),
  fc.string({ unit: "binary", maxLength: 8 }).filter((name) =>
    name !== "__metadata__" && name.isWellFormed()
  ),
);

const anyTensor: fc.Arbitrary<Tensor> = fc
  .tuple(fc.constantFrom(...Object.keys(ARRAY_TYPES) as DType[]), fc.array(fc.nat(4), { maxLength: 4 }))
  .chain(([dtype, shape]) => {
    const length = elementCount(shape) * bytesPerElement(dtype);
    return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => {
      const { buffer } = bytes.slice();
      return tensor(dtype, shape, new ARRAY_TYPES[dtype](buffer as ArrayBuffer));
    });
  });

const anyTensors = fc.dictionary(anyName, anyTensor, { maxKeys: 5 });
const anyMetadata = fc.dictionary(anyName, fc.string({ maxLength: 5 }), { maxKeys: 3 });

async function write(tensors: Record<string, Tensor>, metadata: Record<string, string> = {}) {
  return await new Blob(encodeSafetensors(tensors, metadata) as BlobPart[]).bytes();
}

function copied<T>(record: Record<string, T>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => a < b ? -1 : 1);
}

Deno.test("decodeSafetensors() restores what encodeSafetensors() wrote, at any alignment", async () => {
  await fc.assert(fc.asyncProperty(anyTensors, anyMetadata, fc.nat(7), async (tensors, metadata, shift) => {
    const file = await write(tensors, metadata);
    const moved = new Uint8Array(file.length + shift).subarray(shift);
    moved.set(file);
    const decoded = decodeSafetensors(moved, "a file");
    assert.deepEqual(copied(decoded.metadata), copied(metadata));
    const [expected, actual] = [copied(tensors), copied(decoded.tensors)].map((entries) =>
      entries.map(([name, value]) => [name, value.dtype, value.shape, tensorBytes(value).toHex()])
    );
    assert.deepEqual(actual, expected);
    if (shift === 0) {
      assert(
        Object.values(decoded.tensors).every(({ data }) => data.length === 0 || data.buffer === moved.buffer),
      );
    }
  }));
});

Deno.test("encodeSafetensors() returns the same bytes for any order of the tensors", async () => {
  await fc.assert(fc.asyncProperty(anyTensors, anyMetadata, async (tensors, metadata) => {
    const reversed = Object.fromEntries(Object.entries(tensors).reverse());
    assert.deepEqual(await write(reversed, metadata), await write(tensors, metadata));
  }));
});

Deno.test("a mutated file is refused only with SafetensorsError", async () => {
  const mutation = fc.record({ at: fc.nat(), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) });
  await fc.assert(
    fc.asyncProperty(
      anyTensors,
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      async (tensors, edits) => {
        let bytes: number[] = [...await write(tensors)];
        for (const { at, remove, insert } of edits) {
          bytes = bytes.toSpliced(
            at % bytes.length,
            remove,
            ...insert,
          );
        }
        try {
          decodeSafetensors(new Uint8Array(bytes), "mutated");
        } catch (error) {
          assert(error instanceof SafetensorsError, String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("a header of any JSON is refused only with SafetensorsError", () => {
  const value = fc.oneof(
    fc.constantFrom(
      "F32",
      "U8",
      "F4",
      "C64",
      [0, 4],
      [1],
      [],
      [2 ** 53, 2 ** 53, 0],
      -1,
      1.5,
      1e300,
      "1",
      null,
      true,
    ),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const key = fc.constantFrom("dtype", "shape", "data_offsets", "extra", "__proto__", "__metadata__");
  const entry = fc.oneof(value, fc.dictionary(key, value));
  fc.assert(
    fc.property(fc.dictionary(fc.oneof(key, anyName), entry, { maxKeys: 3 }), (json) => {
      const bytes = headerOf(JSON.stringify(json));
      try {
        parseSafetensorsHeader(bytes, bytes.length, "random");
      } catch (error) {
        assert(error instanceof SafetensorsError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

function headerOf(text: string): Uint8Array {
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + json.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

Deno.test("headers that a lenient reader would accept are refused", () => {
  const entry = (fields: string) => `{"a":{${fields}}}`;
  const refused: [string, RegExp][] = [
    [entry('"dtype":"U8","shape":[1],"data_offsets":[0,1e1]'), /data_offsets of tensor "a" must .*\[0,1e1\]/],
    [entry('"dtype":"U8","shape":[1.0],"data_offsets":[0,1]'), /shape of tensor "a" .*\[1\.0\]/],
    [entry('"dtype":"U8","shape":[-0],"data_offsets":[0,0]'), /shape of tensor "a"/],
    [entry('"dtype":"F32","dtype":"U8","shape":[0],"data_offsets":[0,0]'), /name each key once.*dtype/],
    [entry('"dtype":"F4","shape":[3],"data_offsets":[0,1]'), /span the 1.5 bytes/],
    [entry('"dtype":"U8","shape":[18446744073709551616,0],"data_offsets":[0,0]'), /18446744073709551616/],
    [entry('"dtype":"toString","shape":[],"data_offsets":[0,0]'), /dtype of tensor "a" must be one of/],
    ['{"\\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}', /tensor name must be well-formed/],
    ["\ufeff{}", /be JSON/],
    ["[".repeat(1_000_000), /nested too deeply/],
  ];
  for (const [json, message] of refused) {
    const bytes = headerOf(json);
    assert.throws(() => parseSafetensorsHeader(bytes, bytes.length, "lenient"), (error: unknown) => {
      assert(error instanceof SafetensorsError, String(error));
      assert.match(error.message, message);
      assert(error.message.length < 700);
      return true;
    });
  }
});

Deno.test("a header of any depth is refused in the same way, even if it is too deep to be printed", () => {
  for (let levels = 100; levels < 12_000; levels += 100) {
    const bytes = headerOf(`{"a":${"[".repeat(levels)}${"]".repeat(levels)}}`);
    assert.throws(() => parseSafetensorsHeader(bytes, bytes.length, "deep"), SafetensorsError);
  }
});

Deno.test("encodeSafetensors() refuses names that a file cannot contain", () => {
  const scalar = tensor("uint8", [], new Uint8Array(1));
  assert.throws(() => encodeSafetensors({ "__metadata__": scalar }), { code: "invalid_value" });
  assert.throws(() => encodeSafetensors({ "\ud800": scalar }), /well-formed Unicode/);
});
