import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { arch } from "node:os";
import { byteProductProbe } from "../../../models/onnx/byte_product_probe.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";

Deno.test("products of bytes overflow only on x86 processors without VNNI", async () => {
  await using session = await new OnnxRuntimeNode().open(byteProductProbe());
  const { overflows } = await session.run({});
  const flags = await readFile("/proc/cpuinfo", "utf8").catch(() => undefined);
  if (flags === undefined) return;
  assert.deepEqual(
    [...overflows!.data],
    [arch() === "x64" && !/\b(?:avx512_vnni|avx_vnni|amx_int8)\b/.test(flags) ? 1 : 0],
  );
});
