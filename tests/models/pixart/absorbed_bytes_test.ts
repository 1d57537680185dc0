import assert from "node:assert/strict";
import { compareTensors } from "../../../artifacts/compare_tensors.ts";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import { GraphBuilder, type Value } from "../../../models/onnx/graph_builder.ts";
import { byteScores, byteSums, textPaysOff } from "../../../models/pixart/absorbed_bytes.ts";
import { createGenerator } from "../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";

const runtime = new OnnxRuntimeNode();
const [ROWS, HEADS, TOKENS, WIDTH] = [512, 4, 20, 288];

function random(seed: number, ...shape: number[]): Tensor<"float32"> {
  const length = shape.reduce((product, size) => product * size, 1);
  return tensor("float32", shape, createGenerator("torch-cpu", seed).randn(length));
}

/** Runs two ways to compute a value, and returns the relative error of the second. */
async function error(
  inputs: Readonly<Record<string, Tensor<"float32">>>,
  exact: (g: GraphBuilder, ...inputs: Value[]) => Value,
  bytes: (g: GraphBuilder, ...inputs: Value[]) => Value,
): Promise<number> {
  const [expected, actual] = await Promise.all([exact, bytes].map(async (build) => {
    const g = new GraphBuilder();
    const values = Object.entries(inputs).map(([name, { shape }]) => g.input(name, "float32", shape));
    g.output("result", build(g, ...values), ["rows", "columns"]);
    await using session = await runtime.open(g.build("product"));
    return (await session.run(inputs))["result"]!.data as Float32Array;
  }));
  return compareTensors(expected!, actual!).relativeError;
}

/** Probabilities [rows, heads · tokens]: `exp(sharpness · normal)`, divided by its sum. */
function probabilities(sharpness: number): Tensor<"float32"> {
  const normal = random(7, ROWS, HEADS * TOKENS);
  const weights = normal.data.map((value) => Math.exp(sharpness * value));
  for (let first = 0; first < weights.length; first += TOKENS) {
    const head = weights.subarray(first, first + TOKENS);
    const sum = head.reduce((sum, weight) => sum + weight, 0);
    head.forEach((weight, index) => head[index] = weight / sum);
  }
  return tensor("float32", normal.shape, weights);
}

Deno.test("byteScores() is close to the product in float32, also with channels far larger than others", async () => {
  for (const factor of [1, 50]) {
    const rows = random(1, ROWS, WIDTH);
    const data = rows.data.map((value, index) => index % 72 === 5 ? value * factor : value);
    const keys = random(2, HEADS * TOKENS, WIDTH);
    const bias = random(3, HEADS * TOKENS);
    const off = await error(
      { rows: tensor("float32", rows.shape, data), keys, bias },
      (g, rows, keys, bias) => g.gemm(rows!, keys!, bias),
      (g, rows, keys, bias) => byteScores(g, rows!, keys!, WIDTH, bias),
    );
    assert(off > 0 && off < 1.2e-2, `factor ${factor}: relative error ${off}`);
  }
});

Deno.test("byteScores() needs no bias", async () => {
  const off = await error(
    { rows: random(1, ROWS, WIDTH), keys: random(2, HEADS * TOKENS, WIDTH) },
    (g, rows, keys) => g.gemm(rows!, keys!),
    (g, rows, keys) => byteScores(g, rows!, keys!, WIDTH, undefined),
  );
  assert(off < 1.2e-2, `relative error ${off}`);
});

Deno.test("byteSums() is close to the product in float32, for flat and for sharp probabilities", async () => {
  for (const sharpness of [0, 1, 10]) {
    const off = await error(
      {
        probabilities: probabilities(sharpness),
        values: random(4, HEADS * TOKENS, WIDTH),
        bias: random(5, WIDTH),
      },
      (g, probabilities, values, bias) => g.op("Gemm", [probabilities!, values!, bias!]),
      (g, probabilities, values, bias) => byteSums(g, probabilities!, values!, HEADS, WIDTH, bias!),
    );
    assert(off < 1e-2, `sharpness ${sharpness}: relative error ${off}`);
  }
});

Deno.test("byteSums() returns the mean of values that probabilities do not distinguish", async () => {
  const values = random(4, HEADS * TOKENS, WIDTH);
  const same = values.data.map((_, index) => values.data[index % WIDTH]!);
  const off = await error(
    {
      probabilities: probabilities(3),
      values: tensor("float32", values.shape, same),
      bias: random(5, WIDTH),
    },
    (g, probabilities, values, bias) => g.op("Gemm", [probabilities!, values!, bias!]),
    (g, probabilities, values, bias) => byteSums(g, probabilities!, values!, HEADS, WIDTH, bias!),
  );
  assert(off < 1e-6, `relative error ${off}`);
});

Deno.test("textPaysOff() is false for texts of few tokens", async () => {
  const g = new GraphBuilder();
  const text = g.input("text", "float32", ["tokens", 8]);
  g.output("pays", textPaysOff(g, text), [1], "bool");
  await using session = await runtime.open(g.build("pays"));
  for (const tokens of [1, 7]) {
    const { pays } = await session.run({ text: random(1, tokens, 8) });
    assert.equal(Number(pays!.data[0]), 0, `${tokens} tokens`);
  }
});
