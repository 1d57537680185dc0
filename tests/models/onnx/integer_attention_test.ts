import assert from "node:assert/strict";
import { compareTensors } from "../../../artifacts/compare_tensors.ts";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import type { AttentionWeights } from "../../../models/onnx/attended_values.ts";
import { attention } from "../../../models/onnx/attention.ts";
import { GraphBuilder, type Value } from "../../../models/onnx/graph_builder.ts";
import { integerAttention } from "../../../models/onnx/integer_attention.ts";
import { createGenerator } from "../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";

const runtime = new OnnxRuntimeNode();

interface Operands {
  readonly query: Tensor<"float32">;
  readonly key: Tensor<"float32">;
  readonly value: Tensor<"float32">;
  readonly groups?: Tensor<"int64">;
  readonly parts?: Tensor<"int64">;
}

/** Returns normally distributed rows, with `offset` added to every eighth channel of the keys. */
function operands(tokens: number, width: number, offset = 0): Operands {
  const generator = createGenerator("torch-cpu", tokens);
  const rows = () => tensor("float32", [tokens, width], generator.randn(tokens * width));
  const [query, key, value] = [rows(), rows(), rows()];
  const shifted = key.data.map((value, index) => index % 8 === 3 ? value + offset : value);
  return { query, key: tensor("float32", key.shape, shifted), value };
}

async function run(
  rows: Operands,
  build: (g: GraphBuilder, query: Value, key: Value, value: Value) => Value,
): Promise<Float32Array> {
  const width = rows.query.shape[1]!;
  const g = new GraphBuilder();
  const [query, key, value] = ["query", "key", "value"].map((name) => g.input(name, "float32", ["n", width]));
  g.output("result", build(g, query!, key!, value!), ["n", width]);
  await using session = await runtime.open(g.build("attention"));
  return (await session.run({ ...rows }))["result"]!.data as Float32Array;
}

function inParts(
  rows: Operands,
  heads: number,
  { groups = 1, parts = 1, weights }: {
    readonly groups?: number;
    readonly parts?: number;
    readonly weights?: AttentionWeights;
  },
): Promise<Float32Array> {
  const size = rows.query.shape[1]! / heads;
  const count = (count: number) => tensor("int64", [1], BigInt64Array.of(BigInt(count)));
  return run({ ...rows, groups: count(groups), parts: count(parts) }, (g, query, key, value) => {
    return integerAttention(g, query, key, value, {
      heads,
      size,
      groups: g.input("groups", "int64", [1]),
      parts: g.input("parts", "int64", [1]),
      weights,
    });
  });
}

for (const weights of ["bytes", "float32"] as const) {
  for (
    const { tokens, heads, size, most } of [
      { tokens: 1024, heads: 4, size: 72, most: { bytes: 2.1e-2, float32: 1.3e-2 } },
      { tokens: 77, heads: 2, size: 16, most: { bytes: 1.5e-2, float32: 1.2e-2 } },
      { tokens: 3, heads: 1, size: 8, most: { bytes: 1.5e-2, float32: 1.2e-2 } },
    ]
  ) {
    Deno.test(`integerAttention() with weights in ${weights} is close to attention: ${tokens} tokens, ${heads} heads of ${size}`, async () => {
      for (const offset of [0, 30]) {
        const rows = operands(tokens, heads * size, offset);
        const exact = await run(rows, (g, ...inputs) => attention(g, ...inputs, { heads }));
        const { relativeError } = compareTensors(exact, await inParts(rows, heads, { weights }));
        // The mean of the keys is subtracted, so an offset costs no precision.
        assert(relativeError < most[weights], `offset ${offset}: ${relativeError}`);
      }
    });
  }

  Deno.test(`integerAttention() with weights in ${weights} returns the same for any number of groups and parts, up to the order of sums`, async () => {
    const rows = operands(96, 32);
    const whole = await inParts(rows, 4, { weights });
    for (const groups of [1, 2, 4]) {
      for (const parts of [1, 2, 3, 96]) {
        const { relativeError } = compareTensors(whole, await inParts(rows, 4, { weights, parts, groups }));
        assert(relativeError < 3e-7, `${groups} groups, ${parts} parts: ${relativeError}`);
      }
    }
  });

  Deno.test(`integerAttention() with weights in ${weights} keeps many small weights beside a large one`, async () => {
    const [tokens, heads, size] = [1024, 4, 72];
    const { query, key, value } = operands(tokens, heads * size);
    // In the second head, each query gives about half of its weight to the first key.
    const [channel, large] = [size, 3];
    for (let token = 0; token < tokens; token++) query.data[token * heads * size + channel] = large;
    key.data[channel] = (Math.log(tokens) + 0.5) * Math.sqrt(size) / large;
    const rows = { query, key, value };
    const exact = await run(rows, (g, ...inputs) => attention(g, ...inputs, { heads }));
    for (const groups of [1, 4]) {
      const { relativeError } = compareTensors(
        exact,
        await inParts(rows, heads, { weights, parts: 4, groups }),
      );
      assert(relativeError < 2.8e-2, `${groups} groups: ${relativeError}`);
    }
  });

  Deno.test(`integerAttention() with weights in ${weights} returns the mean of the values if queries or keys are 0`, async () => {
    const { query, key, value } = operands(6, 16);
    const zeros = tensor("float32", [6, 16], new Float32Array(6 * 16));
    const means = Float32Array.from({ length: 16 }, (_, channel) => {
      return [0, 1, 2, 3, 4, 5].reduce((sum, row) => sum + value.data[row * 16 + channel]! / 6, 0);
    });
    const farthest = Math.max(...value.data.map((value, index) => Math.abs(value - means[index % 16]!)));
    const most = weights === "bytes" ? farthest / 127 / 2 : 3e-7;
    for (const rows of [{ query: zeros, key, value }, { query, key: zeros, value }]) {
      const result = await inParts(rows, 2, { weights, parts: 2 });
      assert(result.every((got, index) => Math.abs(got - means[index % 16]!) < most));
    }
  });
}

Deno.test("integerAttention() computes attention in float32 without groups", async () => {
  const rows = operands(64, 32);
  const exact = await run(rows, (g, ...inputs) => attention(g, ...inputs, { heads: 4 }));
  assert.deepEqual(await inParts(rows, 4, { groups: 0, parts: 0 }), exact);
});
