import assert from "node:assert/strict";
import { compareTensors } from "../../../artifacts/compare_tensors.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import { GraphBuilder } from "../../../models/onnx/graph_builder.ts";
import { integerProduct } from "../../../models/onnx/integer_linear.ts";
import { createGenerator } from "../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";

const ROWS = 128;
const INPUTS = 1152;
const OUTPUTS = 64;
const runtime = new OnnxRuntimeNode();

/** Enlarged channels: how many, at equal distances, and how many times as large as the others. */
interface Outliers {
  readonly channels: number;
  readonly times: number;
}

/**
 * Multiplies normally distributed rows, some of whose channels are enlarged, with random bytes. Returns the
 * error relative to the exact product.
 */
async function relativeError({ channels, times }: Outliers): Promise<number> {
  const generator = createGenerator("torch-cpu", 1);
  const rows = generator.randn(ROWS * INPUTS);
  const distance = Math.floor(INPUTS / Math.max(channels, 1));
  for (let at = 0; at < rows.length; at++) {
    const channel = at % INPUTS;
    if (channel % distance === 0 && channel / distance < channels) rows[at]! *= times;
  }
  const integers = Int8Array.from(generator.randn(INPUTS * OUTPUTS), (value) => Math.max(-127, value * 30));
  const scales = Float32Array.from(generator.randn(OUTPUTS), (value) => 0.01 + 0.001 * Math.abs(value));
  const bias = generator.randn(OUTPUTS);

  const g = new GraphBuilder();
  const matrix = {
    integers: g.constant(tensor("int8", [INPUTS, OUTPUTS], integers)),
    scales: g.vector([...scales]),
  };
  const x = g.input("x", "float32", ["rows", INPUTS]);
  const product = integerProduct(g, x, matrix, INPUTS, { bias: g.vector([...bias]) });
  g.output("product", product, ["rows", OUTPUTS]);
  await using session = await runtime.open(g.build("product"));
  const found = (await session.run({ x: tensor("float32", [ROWS, INPUTS], rows) }))["product"]!;

  const exact = Float32Array.from({ length: ROWS * OUTPUTS }, (_, at) => {
    const [row, output] = [Math.floor(at / OUTPUTS), at % OUTPUTS];
    let sum = 0;
    for (let input = 0; input < INPUTS; input++) {
      sum += rows[row * INPUTS + input]! * integers[input * OUTPUTS + output]!;
    }
    return sum * scales[output]! + bias[output]!;
  });
  return compareTensors(exact, found.data as Float32Array).relativeError;
}

// If channels that are at least 12 times as large stayed in the product of bytes, errors would be 6 to 100 times
// as large.
for (
  const [outliers, most] of [
    [{ channels: 0, times: 1 }, 8.4e-3],
    [{ channels: 1, times: 1000 }, 3.2e-4],
    [{ channels: 8, times: 12 }, 6.1e-3],
    [{ channels: 6, times: 60 }, 2e-3],
    [{ channels: 32, times: 20 }, 2.5e-3],
    [{ channels: 32, times: 1.2 }, 8.6e-3],
  ] as const
) {
  Deno.test(`integerProduct() keeps its precision with ${outliers.channels} channels ${outliers.times} times as large`, async () => {
    const error = await relativeError(outliers);
    assert(error < most, `off by ${error}`);
  });
}
