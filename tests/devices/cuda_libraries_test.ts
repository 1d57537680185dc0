import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zipSync } from "fflate";
import { type CudaBuild, installCuda, removeCuda } from "../../devices/cuda_libraries.ts";
import { withFolder } from "../models/checkpoint/copies.ts";
import { needing } from "../needing.ts";

const LINUX_X64 = { what: "Linux x64", isThere: Deno.build.target === "x86_64-unknown-linux-gnu" };
const bytes = (text: string) => new TextEncoder().encode(text);
const PROVIDER = bytes(
  "\x7fELF … libcublasLt.so.13\0libcudart.so.13\0 … libcudart.so.12\0libcudart.so.13\0 …",
);
const SHARED = bytes("\x7fELF");
const KNOWN: readonly CudaBuild[] = [{
  source: "a build of this test",
  cuda: 13,
  sha256: createHash("sha256").update(PROVIDER).digest("hex"),
}];

/** Creates a wheel, as pip downloads it, and an empty folder in place of ONNX Runtime's. */
async function withWheel(work: (wheel: string, folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (root) => {
    const folder = join(root, "x64");
    await mkdir(folder);
    const wheel = join(root, "onnxruntime_gpu-1.30.0-cp312-cp312-manylinux_2_28_x86_64.whl");
    const files = {
      "onnxruntime/capi/libonnxruntime_providers_cuda.so": PROVIDER,
      "onnxruntime/capi/libonnxruntime_providers_shared.so": SHARED,
      "onnxruntime/__init__.py": bytes(""),
    };
    await writeFile(wheel, zipSync(files));
    await work(wheel, folder);
  });
}

Deno.test(needing(LINUX_X64, {
  name: "CUDA libraries are installed from a wheel or a folder with their companions, and removed",
  fn: () =>
    withWheel(async (wheel, folder) => {
      const whole = await installCuda({ from: wheel, folder, known: KNOWN });
      assert.deepEqual([whole.cuda, whole.found], [13, []]);
      const names = [
        "libonnxruntime_providers_cuda.so",
        "libonnxruntime_providers_shared.so",
        "pixstage-cuda.json",
      ];
      assert.deepEqual((await readdir(folder)).sort(), names);
      assert.deepEqual(new Uint8Array(await readFile(join(folder, names[0]!))), PROVIDER);

      // A virtual environment contains the same files unpacked, and NVIDIA's files next to them.
      const libraries = join(folder, "..", "venv", "nvidia", "cudnn", "lib");
      await mkdir(libraries, { recursive: true });
      await writeFile(join(libraries, "libcudnn.so.9"), "");
      for (const name of names.slice(0, 2)) {
        await writeFile(join(libraries, name), await readFile(join(folder, name)));
      }
      const unpacked = await installCuda({ from: join(folder, "..", "venv"), folder, known: KNOWN });
      assert.deepEqual(unpacked.found, ["libcudnn.so.9"]);
      assert(!unpacked.missing.includes("libcudnn.so.9"));
      const record = JSON.parse(await readFile(join(folder, names[2]!), "utf8"));
      assert.deepEqual(record.libraries, [join(libraries, "libcudnn.so.9")]);

      assert.equal(await removeCuda(folder), true);
      assert.deepEqual(await readdir(folder), []);
      assert.equal(await removeCuda(folder), false);
    }),
}));

Deno.test(needing(LINUX_X64, {
  name: "CUDA libraries of another version, build or kind are refused, and leave no files",
  fn: () =>
    withWheel(async (wheel, folder) => {
      const refused = async (from: string, message: RegExp, options = {}) => {
        await assert.rejects(installCuda({ from, folder, known: KNOWN, ...options }), { message });
        assert.deepEqual(await readdir(folder), []);
      };
      await refused(join(folder, "nowhere"), /contains no libonnxruntime_providers_cuda.so/);
      await refused(folder, /contains no libonnxruntime_providers_cuda.so/);
      await refused(wheel, /none of the tested builds.*--unverified/, { known: [] });
      const older = wheel.replace("1.30.0", "1.29.0");
      await writeFile(older, await readFile(wheel));
      await refused(older, /must be a wheel of onnxruntime-gpu 1.30.0, but its version is 1.29.0/);
      const taken = await installCuda({ from: wheel, folder, known: [], unverified: true });
      assert.equal(taken.cuda, 13, "as the library itself says");
    }),
}));
