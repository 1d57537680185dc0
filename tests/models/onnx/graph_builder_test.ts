import assert from "node:assert/strict";
import { fc } from "../../random.ts";
import { ARRAY_TYPES, type DType } from "../../../artifacts/dtype.ts";
import { fromFloat32, toFloat32 } from "../../../artifacts/half_precision.ts";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import type { WeightLocation } from "../../../models/checkpoint/weights.ts";
import { attention } from "../../../models/onnx/attention.ts";
import { GraphBuilder, type Value } from "../../../models/onnx/graph_builder.ts";
import { weightSlices } from "../../../models/onnx/weight_slices.ts";
import { upsampleConv } from "../../../models/vae/upsample_conv.ts";
import { memoryFigures } from "../../../runtime/memory.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { assertNear } from "../tiny_checkpoints.ts";
import { LINUX, needing } from "../../needing.ts";
import { inOwnProcess } from "../../own_process.ts";

const runtime = new OnnxRuntimeNode();

function wave(...shape: number[]): Tensor<"float32"> {
  const length = shape.reduce((count, size) => count * size, 1);
  return tensor("float32", shape, Float32Array.from({ length }, (_, i) => Math.sin(i * i)));
}

/** Writes a file with a weight at `offset` and calls `use` with its location. */
async function withWeight<T>(
  value: Tensor,
  offset: number,
  use: (location: WeightLocation) => Promise<T>,
): Promise<T> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    const { buffer, byteOffset, byteLength } = value.data;
    const bytes = new Uint8Array(offset + byteLength + 3).fill(0xa5);
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), offset);
    await Deno.writeFile(`${folder}/weights.bin`, bytes);
    const { dtype, shape } = value;
    return await use({
      name: "weight",
      dtype,
      shape,
      folder,
      file: "weights.bin",
      offset,
      length: byteLength,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function run(
  feeds: Record<string, Tensor>,
  build: (g: GraphBuilder) => Value,
  dims: (number | string)[],
  prepareWeights = false,
): Promise<Tensor<"float32">> {
  const g = new GraphBuilder();
  g.output("result", build(g), dims);
  await using session = await runtime.open(g.build("test", { prepareWeights }));
  return (await session.run(feeds)).result as Tensor<"float32">;
}

Deno.test("GraphBuilder reads weights of each floating-point type at any byte offset, prepared or not", async () => {
  for (const dtype of ["float32", "float16", "bfloat16"] as const) {
    const stored = tensor(dtype, [3, 5], fromFloat32(wave(3, 5).data, dtype) as never);
    for (const offset of [0, 1, 7, 64, 4097]) {
      for (const prepareWeights of [false, true]) {
        await withWeight(stored, offset, async (location) => {
          const result = await run({}, (g) => g.op("Neg", [g.weight(location)]), [3, 5], prepareWeights);
          const expected = toFloat32(stored).data.map((value) => -value);
          assert.deepEqual(result.data, expected, `${dtype} at ${offset}`);
        });
      }
    }
  }
});

Deno.test("GraphBuilder gathers rows in their stored type, then casts", async () => {
  for (const dtype of ["float32", "float16", "bfloat16"] as const) {
    const stored = tensor(dtype, [6, 4], fromFloat32(wave(6, 4).data, dtype) as never);
    await withWeight(stored, 5, async (location) => {
      const indices = tensor("int32", [3], Int32Array.of(5, 0, 5));
      const result = await run(
        { indices },
        (g) => g.rows(location, g.input("indices", "int32", ["n"])),
        ["n", 4],
      );
      const table = toFloat32(stored).data;
      assert.deepEqual(
        [...result.data],
        [5, 0, 5].flatMap((row) => [...table.subarray(4 * row, 4 * row + 4)]),
      );
    });
  }
});

Deno.test("GraphBuilder counts the bytes of each weight once", () => {
  const location = {
    name: "a",
    dtype: "float16",
    shape: [4],
    folder: "/one",
    file: "f",
    offset: 0,
    length: 8,
  } as const;
  const g = new GraphBuilder();
  assert.equal(g.weight(location), g.weight(location));
  g.weight({ ...location, name: "b" });
  const { weightBytes, weightsFolder } = g.build("sum");
  assert.deepEqual({ weightBytes, weightsFolder }, { weightBytes: 16, weightsFolder: "/one" });
});

Deno.test("GraphBuilder outputs one value under several names, and inputs unchanged", async () => {
  const g = new GraphBuilder();
  const x = g.input("x", "float32", ["n"]);
  const twice = g.add(x, x);
  g.output("a", twice, ["n"]);
  g.output("b", twice, ["n"]);
  g.output("same", x, ["n"]);
  const graph = g.build("names");
  assert.deepEqual([graph.inputs, graph.outputs], [["x"], ["a", "b", "same"]]);
  await using session = await runtime.open(graph);
  const { a, b, same } = await session.run({ x: tensor("float32", [2], Float32Array.of(1, 2)) });
  assert.deepEqual([a?.data, b?.data, same?.data], [[2, 4], [2, 4], [1, 2]].map((v) => Float32Array.from(v)));
});

Deno.test("GraphBuilder exposes the selected values", () => {
  const g = new GraphBuilder((name) => name === "inner");
  const x = g.input("x", "float32", [1]);
  g.output("y", g.probe("hidden", g.add(g.probe("inner", g.add(x, x), [1]), x), [1]), [1]);
  assert.deepEqual(g.build("probes").outputs, ["inner", "y"]);
});

Deno.test("weightSlices() covers every row once, in order", () => {
  const dtypes = fc.constantFrom<DType>("float16", "bfloat16", "float32");
  const rows = fc.integer({ min: 1, max: 40_000 });
  const columns = fc.integer({ min: 1, max: 20_000 });
  fc.assert(fc.property(dtypes, rows, columns, fc.nat(1000), (dtype, rows, columns, offset) => {
    const size = ARRAY_TYPES[dtype].BYTES_PER_ELEMENT;
    const length = rows * columns * size;
    const location = { name: "w", dtype, shape: [rows, columns], folder: "", file: "", offset, length };
    let end = offset;
    let count = 0;
    for (const slice of weightSlices(location)) {
      assert.equal(slice.offset, end);
      assert.equal(slice.length, slice.shape[0]! * columns * size);
      end += slice.length;
      count += slice.shape[0]!;
    }
    assert.deepEqual([end, count], [offset + length, rows]);
  }));
});

Deno.test("GraphBuilder multiplies by a large float16 weight in slices, with the same bytes", async () => {
  const [outputs, inputs] = [4500, 2048];
  const values = Float32Array.from({ length: outputs * inputs }, (_, i) => Math.sin(i * i) / 8);
  await withWeight(
    tensor("float16", [outputs, inputs], fromFloat32(values, "float16")),
    9,
    async (location) => {
      assert(weightSlices(location).length > 1);
      const feeds = { x: wave(3, inputs), bias: wave(outputs) };
      const layer = (add: (g: GraphBuilder, x: Value, bias: Value) => Value) =>
        run(
          feeds,
          (g) => add(g, g.input("x", "float32", ["t", inputs]), g.input("bias", "float32", [outputs])),
          ["t", outputs],
        );
      const whole = await layer((g, x, bias) => g.gemm(x, g.weight(location), bias));
      const sliced = await layer((g, x, bias) => g.linear(x, location, bias));
      assert.deepEqual(sliced.data, whole.data);
    },
  );
});

Deno.test("scan() processes the slices of its inputs in turn, also within another scan", async () => {
  const feeds = { a: wave(2, 3, 4), b: wave(2, 4) };
  const { shape, data } = await run(
    feeds,
    (g) =>
      g.scan(
        [
          { value: g.input("a", "float32", [2, 3, 4]), dtype: "float32", dims: [3, 4] },
          { value: g.input("b", "float32", [2, 4]), dtype: "float32", dims: [4] },
        ],
        (a, b) =>
          g.scan([{ value: a!, dtype: "float32", dims: [4] }], (row) => g.mul(g.add(row, b!), g.scalar(2)), [
            4,
          ]),
        [3, 4],
      ),
    [2, 3, 4],
  );
  assert.deepEqual(shape, [2, 3, 4]);
  data.forEach((value, index) => {
    const [slice, channel] = [Math.floor(index / 12), index % 4];
    assert.equal(
      value,
      Math.fround(2 * Math.fround(feeds.a.data[index]! + feeds.b.data[slice * 4 + channel]!)),
    );
  });
});

Deno.test("values shared within a scan or branch are not used outside of it", async () => {
  const twice = (g: GraphBuilder, x: Value) => g.shared("twice", () => g.add(x, x));
  const { data } = await run(
    { x: wave(3, 1) },
    (g) => {
      const x = g.input("x", "float32", [3, 1]);
      const inside = g.scan([{ value: x, dtype: "float32", dims: [1] }], (row) => twice(g, row), [1]);
      const yes = g.constant(tensor("bool", [], Uint8Array.of(1)));
      const chosen = g.choose(yes, () => twice(g, x), () => x, "float32", [3, 1]);
      return g.add(g.add(inside, chosen), twice(g, x));
    },
    [3, 1],
  );
  assertNear(
    data,
    wave(3, 1).data.map((value) => 6 * value),
    { maxAbs: 1e-6 },
    "three times twice the value",
  );
});

Deno.test("attention() is softmax of scaled products plus bias, times the values", async () => {
  const [heads, size, queries, keys] = [3, 8, 5, 7];
  const width = heads * size;
  const feeds = {
    query: wave(queries, width),
    key: wave(keys, width),
    value: wave(keys, width),
    bias: wave(1, heads, queries, keys),
  };
  const attend = (scale: number | undefined, biased: boolean) =>
    run(
      biased ? feeds : { query: feeds.query, key: feeds.key, value: feeds.value },
      (g) =>
        attention(
          g,
          g.input("query", "float32", ["q", width]),
          g.input("key", "float32", ["k", width]),
          g.input("value", "float32", ["k", width]),
          {
            heads,
            ...(scale === undefined ? {} : { scale }),
            ...(biased ? { bias: g.input("bias", "float32", [1, heads, "q", "k"]) } : {}),
          },
        ),
      ["q", width],
    );
  for (const [scale, biased] of [[undefined, false], [1, true], [1, false]] as const) {
    const expected = new Float32Array(queries * width);
    for (let head = 0; head < heads; head++) {
      for (let q = 0; q < queries; q++) {
        const at = (values: Float32Array, row: number, i: number) => values[row * width + head * size + i]!;
        const weights = Array.from({ length: keys }, (_, k) => {
          let score = 0;
          for (let i = 0; i < size; i++) score += at(feeds.query.data, q, i) * at(feeds.key.data, k, i);
          const bias = biased ? feeds.bias.data[(head * queries + q) * keys + k]! : 0;
          return Math.exp(score * (scale ?? size ** -0.5) + bias);
        });
        const total = weights.reduce((a, b) => a + b);
        for (let i = 0; i < size; i++) {
          const sum = weights.reduce((sum, weight, k) => sum + weight * at(feeds.value.data, k, i), 0);
          expected[q * width + head * size + i] = sum / total;
        }
      }
    }
    const { data } = await attend(scale, biased);
    assertNear(data, expected, { maxAbs: 1e-6 }, `scale ${scale}, ${biased ? "" : "no "}bias`);
  }
});

Deno.test("upsampleConv() equals repeating each point, then the convolution", async () => {
  for (const [height, width] of [[1, 1], [3, 5], [8, 2]] as const) {
    const [input, output] = [3, 4];
    const feeds = { x: wave(1, input, height, width), weight: wave(output, input, 3, 3), bias: wave(output) };
    const layer = (add: (g: GraphBuilder, x: Value, weight: Value, bias: Value) => Value) =>
      run(
        feeds,
        (g) =>
          add(
            g,
            g.input("x", "float32", [1, input, "h", "w"]),
            g.input("weight", "float32", [output, input, 3, 3]),
            g.input("bias", "float32", [output]),
          ),
        [1, output, "height", "width"],
      );
    const repeated = await layer((g, x, weight, bias) => {
      const nearest = {
        mode: "nearest",
        coordinate_transformation_mode: "asymmetric",
        nearest_mode: "floor",
      };
      const large = g.op("Resize", [x, undefined, g.vector([1, 1, 2, 2])], nearest);
      return g.conv(large, weight, bias, { stride: 1n, pads: [1n, 1n, 1n, 1n] });
    });
    const folded = await layer((g, x, weight, bias) => upsampleConv(g, x, weight, bias, { input, output }));
    assert.deepEqual(folded.shape, [1, output, 2 * height, 2 * width]);
    assertNear(folded.data, repeated.data, { maxAbs: 2e-6 }, `${height} × ${width}`);
  }
});

const manyLayers = {
  name: "a graph of many float16 layers holds few of them as float32 at a time",
  fn: async () => {
    const [layers, width] = [32, 1024];
    await withWeight(
      tensor("float16", [width, width], new Uint16Array(width * width)),
      0,
      async (location) => {
        const g = new GraphBuilder();
        let x = g.input("x", "float32", ["t", width]);
        for (let layer = 0; layer < layers; layer++) {
          x = g.relu(g.linear(x, { ...location, name: `layer ${layer}` }));
        }
        g.output("y", x, ["t", width]);
        await using session = await runtime.open(g.build("layers"));
        const before = memoryFigures().anonymous!;
        await session.run({ x: wave(1, width) });
        // The pool retains the peak memory of the run.
        const taken = memoryFigures().anonymous! - before;
        const asFloat32 = 4 * width * width;
        assert(taken < layers * asFloat32 / 4, `${taken / asFloat32} of ${layers} layers`);
      },
    );
  },
};

Deno.test(needing(LINUX, inOwnProcess(import.meta.url, manyLayers)));

Deno.test("a linear layer that transposes its weight first computes the same, and transposes once for all uses", async () => {
  const [rows, input, output] = [5, 7, 3];
  const x = wave(rows, input);
  await withWeight(wave(output, input), 8, async (location) => {
    const product = async (transposesWeights: boolean) => {
      const g = new GraphBuilder(undefined, { transposesWeights });
      const rowsOf = g.input("x", "float32", [rows, input]);
      const bias = g.vector([1, 2, 3]);
      const both = [g.linear(rowsOf, location, bias), g.linear(rowsOf, location, bias)] as const;
      g.output("result", g.add(...both), [rows, output]);
      await using session = await runtime.open(g.build("test", { prepareWeights: true }));
      return (await session.run({ x })).result as Tensor<"float32">;
    };
    assertNear((await product(true)).data, (await product(false)).data, { relL2: 1e-6 }, "two products");
  });
});
