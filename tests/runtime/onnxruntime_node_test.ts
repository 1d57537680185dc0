import assert from "node:assert/strict";
import { tensor } from "../../artifacts/tensor.ts";
import { GraphBuilder } from "../../models/onnx/graph_builder.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { OnnxRuntimeError } from "../../runtime/onnxruntime_session.ts";
import type { ModelGraph } from "../../runtime/runtime.ts";

const runtime = new OnnxRuntimeNode({ threads: 1 });

function twice(): ModelGraph {
  const g = new GraphBuilder();
  const x = g.input("x", "float32", ["n", 2]);
  g.output("y", g.add(x, x), ["n", 2]);
  return g.build("twice");
}

const x = tensor("float32", [1, 2], Float32Array.of(1, 2));

Deno.test("OnnxRuntimeNode runs a graph on its feeds", async () => {
  await using session = await runtime.open(twice());
  assert.deepEqual([session.inputs, session.outputs], [["x"], ["y"]]);
  for (const rows of [1, 3]) {
    const { y } = await session.run({
      x: tensor("float32", [rows, 2], new Float32Array(2 * rows).fill(rows)),
    });
    assert.deepEqual(y, tensor("float32", [rows, 2], new Float32Array(2 * rows).fill(2 * rows)));
  }
});

Deno.test("OnnxRuntimeNode accepts and returns float16 as bits, and accepts views into larger buffers", async () => {
  const g = new GraphBuilder();
  g.output("y", g.op("Neg", [g.input("x", "float16", [2])]), [2], "float16");
  await using session = await runtime.open(g.build("negative"));
  const bits = Uint16Array.of(1, 0x3c00, 0xc000, 2).subarray(1, 3);
  const { y } = await session.run({ x: tensor("float16", [2], bits) });
  assert.deepEqual(y, tensor("float16", [2], Uint16Array.of(0xbc00, 0x4000)));
});

Deno.test("OnnxRuntimeNode says what is wrong with the feeds", async () => {
  await using session = await runtime.open(twice());
  const refused = [
    [{}, "Cannot run graph twice: input x is missing"],
    [{ x, z: x }, "Cannot run graph twice: it has no input z. Its inputs are x"],
    [
      { x: tensor("int32", [1, 2], new Int32Array(2)) },
      "Cannot run graph twice: input x must be float32 [n,2], but is int32 [1,2]",
    ],
    [
      { x: tensor("float32", [2, 1], new Float32Array(2)) },
      "Cannot run graph twice: input x must be float32 [n,2], but is float32 [2,1]",
    ],
    [
      { x: tensor("float32", [2], new Float32Array(2)) },
      "Cannot run graph twice: input x must be float32 [n,2], but is float32 [2]",
    ],
  ] as const;
  for (const [feeds, message] of refused) {
    await assert.rejects(session.run(feeds as never), { name: "InputError", message });
  }
});

Deno.test("OnnxRuntimeNode's errors name the graph that cannot be opened or run", async () => {
  const broken = { name: "broken", bytes: Uint8Array.of(1, 2, 3), weightBytes: 0 };
  await assert.rejects(runtime.open(broken), (error: Error) => {
    assert(error instanceof OnnxRuntimeError && error.cause instanceof Error);
    assert.match(error.message, /^Cannot open graph broken on cpu: /);
    return true;
  });

  const g = new GraphBuilder();
  const a = g.input("a", "float32", ["n"]);
  g.output("sum", g.add(a, g.input("b", "float32", ["m"])), ["k"]);
  await using session = await runtime.open(g.build("mismatch"));
  const wrong = [2, 3].map((size) => tensor("float32", [size], new Float32Array(size)));
  await assert.rejects(session.run({ a: wrong[0]!, b: wrong[1]! }), {
    name: "OnnxRuntimeError",
    message: /^Cannot run graph mismatch: /,
  });
});

Deno.test("OnnxRuntimeNode refuses a missing weight file", async () => {
  const g = new GraphBuilder();
  const location = {
    name: "w",
    dtype: "float32",
    shape: [2],
    folder: "/nowhere",
    file: "f",
    offset: 0,
    length: 8,
  };
  g.output("y", g.op("Neg", [g.weight(location as never)]), [2]);
  await assert.rejects(
    runtime.open(g.build("missing")),
    /^OnnxRuntimeError: Cannot open graph missing on cpu: /,
  );
});

Deno.test("OnnxRuntimeNode releases once, and runs nothing afterwards", async () => {
  const session = await runtime.open(twice());
  await session.release();
  await session.release();
  await session[Symbol.asyncDispose]();
  await assert.rejects(session.run({ x }), /Cannot run graph twice: it has been released/);
});

Deno.test("OnnxRuntimeNode opens nothing after an abort", async () => {
  await assert.rejects(runtime.open(twice(), { signal: AbortSignal.abort() }), { name: "AbortError" });
});

Deno.test("OnnxRuntimeNode refuses invalid numbers of threads", () => {
  for (const threads of [0, -1, 1.5, NaN, 99_999]) {
    assert.throws(() => new OnnxRuntimeNode({ threads }), { code: "out_of_range" });
  }
});
