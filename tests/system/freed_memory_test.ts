import assert from "node:assert/strict";
import { memoryFigures } from "../../runtime/memory.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { LINUX, needing } from "../needing.ts";
import { inOwnProcess } from "../own_process.ts";

const TAKEN_BYTES = 400e6;

const test = {
  name: "large amounts of a stage's garbage are returned to the system",
  async fn() {
    const runtime = new OnnxRuntimeNode();
    runtime.resetPeakMemory();
    const before = memoryFigures().resident;
    let tensors: Float32Array[] | undefined = Array.from(
      { length: 10 },
      () => new Float32Array(TAKEN_BYTES / 40).fill(1),
    );
    assert(memoryFigures().resident > before + TAKEN_BYTES * 0.9, `${tensors.length} tensors are resident`);
    tensors = undefined;
    await runtime.giveBackMemory();
    const after = memoryFigures().resident;
    assert(after < before + TAKEN_BYTES / 4, `${after - before} bytes are still resident`);
  },
};

Deno.test(needing(LINUX, inOwnProcess(import.meta.url, test)));
