import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { writeAtomically } from "../../disk/atomic_write.ts";
import {
  readArtifact,
  readFileRange,
  readSafetensorsFile,
  readSafetensorsFileHeader,
  writeArtifact,
} from "../../artifacts/files_on_disk.ts";
import { FileError } from "../../disk/file_error.ts";
import { SafetensorsError } from "../../artifacts/safetensors_error.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { needing } from "../needing.ts";

const latents = tensor("float16", [3], new Uint16Array([1, 2, 3]));
const artifact = { kind: "latents", tensors: { latents }, metadata: { seed: "1" } };

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "pixstage-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

Deno.test("readArtifact() restores what writeArtifact() wrote into a new folder", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "deep", "er", "a.safetensors");
    await writeArtifact(path, artifact);
    const read = await readArtifact(path);
    assert.equal(read.kind, "latents");
    assert.deepEqual(read.metadata, artifact.metadata);
    assert.deepEqual(read.tensors.latents, latents);
    assert.deepEqual((await readSafetensorsFile(path)).tensors.latents, latents);
    const entry = (await readSafetensorsFileHeader(path)).tensors.get("latents")!;
    assert.deepEqual([entry.dtype, entry.shape, entry.length], ["F16", [3], 6]);
    const data = await readFileRange(path, entry.offset, entry.offset + 1000);
    assert.equal(data.toHex(), "010002000300");
    assert.deepEqual(await readdir(join(folder, "deep", "er")), ["a.safetensors"]);
  });
});

Deno.test("writeAtomically() leaves the old file and nothing else when it fails or is aborted", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "a.bin");
    await writeFile(path, "old");
    const failure = Object.assign(new Error("the download broke"), { code: "ECONNRESET" });
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(new Uint8Array(10));
      throw failure;
    }
    await assert.rejects(writeAtomically(path, broken()), failure);
    const controller = new AbortController();
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(new Uint8Array(10));
      controller.abort();
      yield new Uint8Array(10);
    }
    await assert.rejects(writeAtomically(path, slow(), { signal: controller.signal }), {
      name: "AbortError",
    });
    await assert.rejects(writeAtomically(path, [], { signal: AbortSignal.abort() }), { name: "AbortError" });
    assert.equal(await readFile(path, "utf8"), "old");
    assert.deepEqual(await readdir(folder), ["a.bin"]);
    await writeAtomically(path, [new Uint8Array([0x6e, 0x65]), new Uint8Array([0x77])]);
    assert.equal(await readFile(path, "utf8"), "new");
  });
});

Deno.test("disk errors name the path and say what to do", async () => {
  await inFolder(async (folder) => {
    const missing = join(folder, "missing.safetensors");
    const refused: [() => Promise<unknown>, string, RegExp][] = [
      [() => readArtifact(missing), "ENOENT", /no such file or folder: check the path$/],
      [() => readArtifact(folder), "EISDIR", /it is a folder, not a file/],
      [() => readArtifact("/dev/null"), "ENOTREG", /regular file/],
      [() => writeArtifact(folder, artifact), "EISDIR", /it is a folder, not a file/],
      [
        () => writeArtifact("/dev/full/a.safetensors", artifact),
        "",
        /^Cannot write "\/dev\/full\/a.safetensors"/,
      ],
    ];
    for (const [attempt, code, message] of refused) {
      await assert.rejects(attempt, (error: unknown) => {
        assert(error instanceof FileError, String(error));
        if (code !== "") assert.equal(error.systemCode, code);
        assert.match(error.message, message);
        return true;
      });
    }
    assert.deepEqual(await readdir(folder), []);
    const text = join(folder, "text.safetensors");
    await writeFile(text, "this is not a tensor file");
    await assert.rejects(readArtifact(text), SafetensorsError);
  });
});

Deno.test(needing({ what: "a user other than root", isThere: process.getuid?.() !== 0 }, {
  name: "an error names a file without permission",
  fn: async () => {
    await inFolder(async (folder) => {
      const path = join(folder, "a.safetensors");
      await writeArtifact(path, artifact);
      await chmod(path, 0);
      await assert.rejects(readArtifact(path), /permission is missing/);
    });
  },
}));
