import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { decodeSafetensors, encodeSafetensors } from "../../artifacts/safetensors.ts";
import { SafetensorsError } from "../../artifacts/safetensors_error.ts";
import { parseSafetensorsHeader, readSafetensorsHeader } from "../../artifacts/safetensors_header.ts";
import { goldenJson, goldenPath } from "../goldens.ts";

interface Case {
  file: string;
  bytes: number;
  valid: boolean;
  keys?: string[];
  metadata?: Record<string, string> | null;
  tensors?: Record<string, { dtype: string; shape: number[]; bytes_hex: string }>;
  spec_forbids?: string;
}

const cases = goldenJson<{ cases: Case[] }>("safetensors/manifest.json").cases;

function goldenBytes(file: string): Uint8Array {
  return new Uint8Array(readFileSync(goldenPath(`safetensors/${file}`)));
}

Deno.test("readSafetensorsHeader() accepts and refuses the same golden files as the reference", async () => {
  for (const golden of cases) {
    const bytes = goldenBytes(golden.file);
    const source = {
      name: golden.file,
      size: bytes.length,
      read: (start: number, end: number) => Promise.resolve(bytes.slice(start, end)),
    };
    const attempts = [
      () => readSafetensorsHeader(source),
      () => Promise.resolve().then(() => parseSafetensorsHeader(bytes, bytes.length, golden.file)),
    ];
    for (const attempt of attempts) {
      if (golden.valid) {
        const header = await attempt();
        assert.deepEqual([...header.tensors.keys()].sort(), golden.keys, golden.file);
        assert.deepEqual(Object.fromEntries(header.metadata), golden.metadata ?? {}, golden.file);
        for (const [name, expected] of Object.entries(golden.tensors ?? {})) {
          const entry = header.tensors.get(name)!;
          assert.equal(entry.dtype, expected.dtype);
          assert.deepEqual(entry.shape, expected.shape);
          const data = bytes.subarray(entry.offset, entry.offset + entry.length);
          assert.equal(data.toHex(), expected.bytes_hex, `${golden.file} ${name}`);
        }
      } else {
        await assert.rejects(attempt, (error: unknown) => {
          assert(error instanceof SafetensorsError, `${golden.file}: ${error}`);
          assert(error.message.includes(golden.file) && error.part !== "" && error.value !== "");
          return true;
        }, golden.file);
      }
    }
  }
  assert.equal(cases.length, 57);
});

Deno.test("decodeSafetensors() returns the bytes of every golden tensor", () => {
  for (const golden of cases.filter(({ valid }) => valid)) {
    const bytes = goldenBytes(golden.file);
    for (const shift of [0, 1]) {
      const moved = new Uint8Array(bytes.length + shift).subarray(shift);
      moved.set(bytes);
      const { tensors } = decodeSafetensors(moved, golden.file);
      assert.deepEqual(Object.keys(tensors).sort(), golden.keys);
      for (const [name, expected] of Object.entries(golden.tensors ?? {})) {
        const value = tensors[name]!;
        const held = new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength);
        assert.equal(held.toHex(), expected.bytes_hex, `${golden.file} ${name}`);
        assert.deepEqual(value.shape, expected.shape);
      }
    }
  }
});

Deno.test("decodeSafetensors() refuses element types without a typed array, and names the tensor", () => {
  const json = JSON.stringify({ wave: { dtype: "C64", shape: [1], data_offsets: [0, 8] } });
  const file = new Uint8Array(8 + json.length + 8);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(new TextEncoder().encode(json), 8);
  assert.throws(() => decodeSafetensors(file, "waves.safetensors"), {
    name: "SafetensorsError",
    message: /waves\.safetensors.*dtype of tensor "wave".*C64/,
  });
});

Deno.test("encodeSafetensors() writes the bytes that the reference library wrote", async () => {
  const path = "units/rng.safetensors";
  const bytes = new Uint8Array(readFileSync(goldenPath(path)));
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  const written = await new Blob(encodeSafetensors(tensors, metadata) as BlobPart[]).bytes();
  assert.deepEqual(written, bytes);
});
