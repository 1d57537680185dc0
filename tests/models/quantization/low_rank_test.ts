import assert from "node:assert/strict";
import { join } from "node:path";
import { writeTransformer } from "../../../bench/random_transformer.ts";
import { sha256 } from "../../../artifacts/sha256.ts";
import { toFloat32 } from "../../../artifacts/half_precision.ts";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import { type Component, openComponent } from "../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import type { Weights } from "../../../models/checkpoint/weights.ts";
import { Layers } from "../../../models/layers.ts";
import { GraphBuilder } from "../../../models/onnx/graph_builder.ts";
import { PixArtTransformer } from "../../../models/pixart/transformer_runner.ts";
import { PixArtTransformerConfig } from "../../../models/pixart/transformer_config.ts";
import {
  type LowRankProduct,
  lowRankProduct,
  type MatrixRows,
  subtractProduct,
} from "../../../models/quantization/low_rank.ts";
import { openQuantized } from "../../../models/quantization/open_quantized.ts";
import { createGenerator } from "../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { inFolder } from "../../cli/run_cli.ts";
import { assertNear, openTiny } from "../tiny_checkpoints.ts";
import { roundedToNibbles } from "./nibbles.ts";

const runtime = new OnnxRuntimeNode();
const EMBEDDED = new URL("../../../models/pixstage-emoji", import.meta.url).pathname;

/** Returns a reader of a matrix, some rows at a time. */
function rowsOf(values: Float32Array, columns: number, atOnce = 1000): MatrixRows {
  return {
    rows: values.length / columns,
    columns,
    async *read() {
      for (let start = 0; start < values.length; start += atOnce * columns) {
        yield await Promise.resolve(values.slice(start, start + atOnce * columns));
      }
    },
  };
}

/** Returns the sum of a matrix of a rank, and of noise. */
function nearlyLowRank(rows: number, columns: number, rank: number, noise: number): Float32Array {
  const generator = createGenerator("torch-cpu", 7);
  const [up, down] = [generator.randn(rows * rank), generator.randn(rank * columns)];
  return generator.randn(rows * columns).map((value, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    let sum = noise * value;
    for (let at = 0; at < rank; at++) sum += up[row * rank + at]! * down[at * columns + column]!;
    return sum;
  });
}

function relativeError(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let [off, whole] = [0, 0];
  for (let index = 0; index < wanted.length; index++) {
    off += (found[index]! - wanted[index]!) ** 2;
    whole += wanted[index]! ** 2;
  }
  return Math.sqrt(off / whole);
}

/** Returns the values that a product and the remainder in 4 bits represent together. */
function represented(values: Float32Array, columns: number, product: LowRankProduct): Float64Array {
  const remainder = values.slice();
  subtractProduct(remainder, 0, columns, product);
  return roundedToNibbles(remainder, columns).map((value, index) =>
    value + values[index]! - remainder[index]!
  );
}

Deno.test("a product of rank 4 is found, and 4 bits represent what remains", async () => {
  const values = nearlyLowRank(70, 50, 4, 0.01);
  const product = await lowRankProduct(rowsOf(values, 50), 4, 32);
  const remainder = values.slice();
  subtractProduct(remainder, 0, 50, product);
  const left = relativeError(remainder, new Float32Array(remainder.length).fill(1));
  assert(left < 1.1, `remainder ${left}`);
  const own = relativeError(roundedToNibbles(values, 50), values);
  const split = relativeError(represented(values, 50, product), values);
  assert(split < own / 20, `${split} with the product, ${own} without`);
});

Deno.test("the product does not depend on how many rows are read at a time, nor on the machine", async () => {
  const values = createGenerator("torch-cpu", 3).randn(100 * 96);
  const products = await Promise.all(
    [4, 32, 44, 100].map((atOnce) => lowRankProduct(rowsOf(values, 96, atOnce), 12, 32)),
  );
  for (const { up, down } of products) {
    assert.deepEqual([up, down], [products[0]!.up, products[0]!.down]);
  }
  const bytes = [products[0]!.up, products[0]!.down].map((values) => new Uint8Array(values.slice().buffer));
  assert.deepEqual(await Promise.all(bytes.map((part) => sha256(part))), [
    "77ecdb771296d9c106f51a1c98558481fdb689014dbcd8cb46451bcc35f74412",
    "98b12ed0f2f1b13fe456645aa61ff7e747a485b6887fc0e87e55a15f82c0c3e2",
  ]);
});

Deno.test("rows that depend on others, zeros, and matrices smaller than the rank give finite factors", async () => {
  const cases = [
    { values: new Float32Array(40 * 64), columns: 64 },
    { values: nearlyLowRank(40, 64, 1, 0), columns: 64 },
    { values: nearlyLowRank(1, 64, 1, 0), columns: 64 },
    { values: nearlyLowRank(40, 1, 1, 0), columns: 1 },
    { values: nearlyLowRank(40, 64, 1, 0).map((value) => value * 1e6), columns: 64 },
  ];
  for (const { values, columns } of cases) {
    const product = await lowRankProduct(rowsOf(values, columns), 8, 32);
    for (const value of [...product.up, ...product.down]) assert(Number.isFinite(value), `${value}`);
    const found = represented(values, columns, product);
    assert(
      found.every((value, index) =>
        Math.abs(value - values[index]!) <= 1e-3 * Math.abs(values[index]!) + 1e-30
      ),
    );
  }
});

/** Returns the output of a linear layer without bias in ONNX Runtime. */
async function linear(weights: Weights, module: string, x: Float32Array): Promise<Float32Array> {
  const [rows = 0, columns = 0] = weights.locate(`${module}.weight`).shape;
  const g = new GraphBuilder();
  const input = g.input("x", "float32", ["tokens", columns]);
  g.output("y", new Layers(g, weights).linear(module, input, columns, rows, { bias: false }), [
    "tokens",
    rows,
  ]);
  await using session = await runtime.open(g.build("linear"));
  const { y } = await session.run({ x: tensor("float32", [x.length / columns, columns], x) });
  return y!.data as Float32Array;
}

Deno.test("with a branch, products with trained matrices in 4 bits lose a quarter less", () =>
  inFolder(async (folder) => {
    const component = await openComponent(await openDiskSource(EMBEDDED), { component: "text_encoder" });
    const plain = await component.weights();
    const [branched, alone] = [
      await openQuantized(component, "int4-lowrank", folder),
      await openQuantized(component, "int4", folder),
    ];
    for (
      const module of [
        "encoder.block.0.layer.0.SelfAttention.q",
        "encoder.block.1.layer.1.DenseReluDense.wi_0",
        "encoder.block.3.layer.1.DenseReluDense.wo",
      ]
    ) {
      const matrix = toFloat32(await plain.read(`${module}.weight`));
      const [rows = 0, columns = 0] = matrix.shape;
      const x = createGenerator("torch-cpu", 5).randn(9 * columns);
      const wanted = Float64Array.from({ length: 9 * rows }, (_, index) => {
        const [token, row] = [Math.floor(index / rows), index % rows];
        let sum = 0;
        for (let at = 0; at < columns; at++) {
          sum += x[token * columns + at]! * matrix.data[row * columns + at]!;
        }
        return sum;
      });
      const own = relativeError(await linear(alone, module, x), wanted);
      const split = relativeError(await linear(branched, module, x), wanted);
      assert(split > 0.01 && split < own * 3 / 4, `${module}: ${split} with a branch, ${own} without`);
    }
  }));

/** Predicts one branch with a tiny transformer. */
async function predict(
  component: Component,
  weights: Weights,
  options: Parameters<typeof PixArtTransformer.open>[3] = {},
  place: Runtime = runtime,
): Promise<Tensor<"float32">> {
  const config = PixArtTransformerConfig.parse(component.config);
  const wave = (shape: readonly number[]) =>
    tensor(
      "float32",
      shape,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => Math.sin(index * index)),
    );
  await using transformer = PixArtTransformer.open(place, config, weights, options);
  const text = await transformer.prepareText(wave([5, config.caption_channels!]));
  const latents = wave([1, 4, 6, 8]);
  return (await transformer.predictEach([{ latents, timestep: 321, text }]))[0]!;
}

Deno.test("a transformer in int4-lowrank predicts the same with every residency, and on devices with their own memory", () =>
  inFolder(async (folder) => {
    const component = await openTiny("tiny-alpha-512", "transformer");
    const plain = await predict(component, await component.weights());
    const weights = await openQuantized(component, "int4-lowrank", folder);
    const expected = await predict(component, weights);
    const streamed = await predict(component, weights, { residency: "stream" });
    assert.deepEqual(streamed.data, expected.data);
    const gpu: Runtime = {
      device: "gpu",
      traits: { hostMemory: false, float16: "blocks" },
      open: (...graph) => runtime.open(...graph),
    };
    assertNear(
      (await predict(component, weights, {}, gpu)).data,
      expected.data,
      { relL2: 1e-3 },
      "own memory",
    );
    const off = relativeError(expected.data, plain.data);
    assert(off > 0 && off < 0.05, `off by ${off}`);
  }));

Deno.test("a transformer in int8 beside float16 matrices predicts the same with every residency", () =>
  inFolder(async (folder) => {
    // Wide enough that a product depends on whether its matrix was laid out before.
    const size = { num_attention_heads: 4, attention_head_dim: 72, cross_attention_dim: 288, num_layers: 2 };
    const config = {
      _class_name: "PixArtTransformer2DModel",
      caption_channels: 256,
      sample_size: 16,
      ...size,
    };
    await writeTransformer(folder, config, "float16");
    const component = await openComponent(await openDiskSource(folder), { component: "transformer" });
    const weights = await openQuantized(component, "int8", join(folder, "quantized"));
    const [kept, streamed] = await Promise.all(
      (["stage", "stream"] as const).map((residency) => predict(component, weights, { residency })),
    );
    assert.deepEqual(streamed!.data, kept!.data);
  }));

Deno.test("an aborted quantization with branches continues to the same bytes", () =>
  inFolder(async (folder) => {
    const component = await openTiny("tiny-alpha-512", "transformer");
    const [whole, stopped] = [join(folder, "whole"), join(folder, "stopped")];
    await openQuantized(component, "int4-lowrank", whole);
    const controller = new AbortController();
    await assert.rejects(
      openQuantized(component, "int4-lowrank", stopped, {
        signal: controller.signal,
        onProgress: ({ done }) => done === 17 && controller.abort(new Error("stopped")),
      }),
      /stopped/,
    );
    let first = 0;
    await openQuantized(component, "int4-lowrank", stopped, { onProgress: ({ done }) => first ||= done });
    assert.equal(first, 18);
    const bytes = await Promise.all([whole, stopped].map(async (cache) => {
      const [entry] = await Array.fromAsync(Deno.readDir(cache));
      return Deno.readFile(join(cache, entry!.name, "model.safetensors"));
    }));
    assert.deepEqual(bytes[0], bytes[1]);
  }));
