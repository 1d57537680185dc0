/**
 * Times one block of PixArt-XL for both branches of guidance: as one batch of two, and one branch after the
 * other, in float32 on the CPU, in alternation. Prints the ratio of the times, the peak resident memory of
 * each, and the largest difference of the results.
 *
 *     deno run -A bench/guidance_branches.ts CHECKPOINT [--tokens 4096] [--text-tokens 20] [--rounds 5]
 *
 * @module
 */

import { parseArgs } from "node:util";
import prettyBytes from "pretty-bytes";
import { type Tensor, tensor } from "../artifacts/tensor.ts";
import { openComponent } from "../models/checkpoint/component.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import { Layers } from "../models/layers.ts";
import { type BuiltGraph, GraphBuilder, type Value } from "../models/onnx/graph_builder.ts";
import { OnnxRuntimeNode } from "../runtime/onnxruntime_node.ts";

const WIDTH = 1152;
const HEADS = 16;
const MODULE = "transformer_blocks.0";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tokens: { type: "string", default: "4096" },
    "text-tokens": { type: "string", default: "20" },
    rounds: { type: "string", default: "5" },
  },
});
const [folder] = positionals;
if (folder === undefined) throw new TypeError("Cannot measure without a checkpoint: give its folder");
const tokens = Number(values.tokens);
const textTokens = Number(values["text-tokens"]);

const component = await openComponent(await openDiskSource(folder), { component: "transformer" });
const weights = await component.weights();
const runtime = new OnnxRuntimeNode();
const branches = [1, 2].map((seed) => feeds(1, seed));
const both = Object.fromEntries(
  Object.keys(branches[0]!).map((name) => [name, joined(branches.map((branch) => branch[name]!))]),
);

const singly = { seconds: [] as number[], peak: 0, hidden: new Float32Array() as Float32Array };
const together = { seconds: [] as number[], peak: 0, hidden: new Float32Array() as Float32Array };
for (let round = 0; round <= Number(values.rounds); round++) {
  for (
    const [taken, batch, given] of [[singly, 1, branches], [together, 2, [both]]] as const
  ) {
    runtime.resetPeakMemory();
    await using session = await runtime.open(block(batch), { memoryPool: false });
    const started = performance.now();
    const outputs: Tensor[] = [];
    for (const one of given) outputs.push((await session.run(one))["hidden"]!);
    const seconds = (performance.now() - started) / 1000;
    // The first round warms up.
    if (round > 0) taken.seconds.push(seconds);
    taken.peak = runtime.memory().peak ?? 0;
    taken.hidden = joined(outputs as Tensor<"float32">[]).data;
  }
}
const ratios = together.seconds.map((seconds, round) => seconds / singly.seconds[round]!);
const largest = together.hidden.reduce(
  (error, value, index) => Math.max(error, Math.abs(value - singly.hidden[index]!)),
  0,
);
print(`${tokens} tokens, one block, both branches of guidance`);
print(`one after the other  ${median(singly.seconds).toFixed(3)} s  peak ${prettyBytes(singly.peak)}`);
print(`one batch of two     ${median(together.seconds).toFixed(3)} s  peak ${prettyBytes(together.peak)}`);
print(`time of the batch over one after the other: ${ratios.map((ratio) => ratio.toFixed(3)).join(" ")}`);
print(
  `median ${median(ratios).toFixed(3)}; largest difference between two values ${largest.toExponential(1)}`,
);

/** Builds self-attention, cross-attention and feed-forward; the branches share the rows of every product. */
function block(batch: number): BuiltGraph {
  const g = new GraphBuilder();
  const layers = new Layers(g, weights);
  const linear = (name: string, x: Value, input: number, output: number): Value =>
    layers.linear(`${MODULE}.${name}`, x, input, output);
  const attention = (query: Value, key: Value, value: Value): Value => {
    const batched = [query, key, value].map((rows) => g.reshape(rows, [batch, -1, WIDTH]));
    return g.reshape(g.contrib("MultiHeadAttention", batched, { num_heads: BigInt(HEADS) }), [-1, WIDTH]);
  };
  const one = g.input("one", "float32", [WIDTH]);
  const zero = g.input("zero", "float32", [WIDTH]);
  let hidden = g.input("hidden_in", "float32", ["rows", WIDTH]);
  const normed = g.layerNorm(hidden, one, zero, 1e-6);
  const [query, key, value] = ["to_q", "to_k", "to_v"].map((name) =>
    linear(`attn1.${name}`, normed, WIDTH, WIDTH)
  );
  hidden = g.add(hidden, linear("attn1.to_out.0", attention(query!, key!, value!), WIDTH, WIDTH));
  const crossed = attention(
    linear("attn2.to_q", hidden, WIDTH, WIDTH),
    g.input("key", "float32", ["text_rows", WIDTH]),
    g.input("value", "float32", ["text_rows", WIDTH]),
  );
  hidden = g.add(hidden, linear("attn2.to_out.0", crossed, WIDTH, WIDTH));
  const inner = g.geluTanh(linear("ff.net.0.proj", g.layerNorm(hidden, one, zero, 1e-6), WIDTH, 4 * WIDTH));
  g.output("hidden", g.add(hidden, linear("ff.net.2", inner, 4 * WIDTH, WIDTH)), ["rows", WIDTH]);
  return g.build(`block.of.${batch}`);
}

function feeds(batch: number, seed: number): Record<string, Tensor<"float32">> {
  return {
    hidden_in: wave([batch * tokens, WIDTH], seed),
    key: wave([batch * textTokens, WIDTH], seed + 10),
    value: wave([batch * textTokens, WIDTH], seed + 20),
    one: tensor("float32", [WIDTH], new Float32Array(WIDTH).fill(1)),
    zero: tensor("float32", [WIDTH], new Float32Array(WIDTH)),
  };
}

function wave(shape: readonly number[], seed: number): Tensor<"float32"> {
  const length = shape.reduce((count, size) => count * size, 1);
  const data = Float32Array.from({ length }, (_, index) => Math.sin(seed * (index % 100_003) ** 2));
  return tensor("float32", shape, data);
}

/** Concatenates the rows of both branches; an input without rows is the same for both. */
function joined(parts: readonly Tensor<"float32">[]): Tensor<"float32"> {
  const [first, second] = parts as [Tensor<"float32">, Tensor<"float32"> | undefined];
  if (first.shape.length === 1 || second === undefined) return first;
  const data = new Float32Array(first.data.length + second.data.length);
  data.set(first.data);
  data.set(second.data, first.data.length);
  return tensor("float32", [first.shape[0]! + second.shape[0]!, first.shape[1]!], data);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
