import assert from "node:assert/strict";
import { fc } from "../../random.ts";
import { join } from "node:path";
import { writeAtomically } from "../../../disk/atomic_write.ts";
import { readSafetensorsFile } from "../../../artifacts/files_on_disk.ts";
import { FileError } from "../../../disk/file_error.ts";
import { encodeSafetensors } from "../../../artifacts/safetensors.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import { type Component, openComponent } from "../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import { fingerprint } from "../../../models/checkpoint/fingerprint.ts";
import { openSafetensorsWeights } from "../../../models/checkpoint/safetensors_weights.ts";
import { Layers } from "../../../models/layers.ts";
import { GraphBuilder } from "../../../models/onnx/graph_builder.ts";
import { openQuantized } from "../../../models/quantization/open_quantized.ts";
import { QuantizedOutputs } from "../../../models/quantization/quantize_outputs.ts";
import { quantizeRows } from "../../../models/quantization/quantize_rows.ts";
import { isQuantized, RECIPES } from "../../../models/quantization/recipe.ts";
import { writeQuantized } from "../../../models/quantization/write_quantized.ts";
import { writeSyntheticCheckpoint } from "../../../models/synthetic/write_checkpoint.ts";
import { T5EncoderConfig } from "../../../models/t5/encoder_config.ts";
import { T5Encoder } from "../../../models/t5/encoder_runner.ts";
import { createGenerator } from "../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { roundedToNibbles } from "./nibbles.ts";

const runtime = new OnnxRuntimeNode();

async function withSyntheticCheckpoint(
  test: (place: { checkpoint: string; cache: string; component: Component }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const checkpoint = join(folder, "checkpoint");
    await writeSyntheticCheckpoint(checkpoint, { preset: "tiny", dtype: "float16" });
    const component = await openComponent(await openDiskSource(checkpoint), { component: "text_encoder" });
    await test({ checkpoint, cache: join(folder, "cache"), component });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function onlyFile(cache: string): Promise<string> {
  const [entry] = await Array.fromAsync(Deno.readDir(cache));
  return join(cache, entry!.name, "model.safetensors");
}

/** Returns the norm of the difference relative to the norm of the expected values. */
function relativeError(found: Float32Array, wanted: Float32Array): number {
  return Math.hypot(...found.map((value, index) => value - wanted[index]!)) / Math.hypot(...wanted);
}

/** Largest relative error of a product in each recipe. */
const LARGEST_ERRORS = {
  int8: 0.013,
  "int8-a16": 0.005,
  "int8-blocks": 0.01,
  "int4-lowrank": 0.08,
  int4: 0.09,
} as const;

for (const recipe of Object.values(RECIPES)) {
  if (recipe.layout !== "blocks" || recipe.bits !== 8) continue;
  Deno.test(`quantizeRows() is off by at most half a unit, in ${recipe.name}`, () => {
    const rows = fc.record({
      columns: fc.integer({ min: 1, max: 300 }),
      seed: fc.array(fc.float({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 50 }),
    });
    fc.assert(fc.property(rows, ({ columns, seed }) => {
      const values = Float32Array.from({ length: 3 * columns }, (_, index) => seed[index % seed.length]!);
      const { packed, scales } = quantizeRows(values, columns, recipe);
      const blocks = Math.ceil(columns / recipe.block);
      values.forEach((value, index) => {
        const row = Math.floor(index / columns);
        const column = index % columns;
        const place = row * blocks + Math.floor(column / recipe.block);
        const at = place * recipe.block + column % recipe.block;
        assert(Math.abs((packed[at]! - 128) * scales[place]! - value) <= scales[place]! * 0.5001 + 1e-37);
      });
    }));
  });
}

Deno.test("quantizeRows() loses no more in 4 bits than by mapping the largest magnitude of a block to -8", () => {
  const rows = fc.record({
    columns: fc.integer({ min: 1, max: 100 }),
    seed: fc.array(fc.float({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 50 }),
  });
  fc.assert(fc.property(rows, ({ columns, seed }) => {
    const values = Float32Array.from({ length: 3 * columns }, (_, index) => seed[index % seed.length]!);
    const found = roundedToNibbles(values, columns);
    for (let row = 0; row < 3; row++) {
      for (let first = 0; first < columns; first += 32) {
        const block = values.subarray(row * columns + first, row * columns + Math.min(first + 32, columns));
        const scale = block.reduce((most, value) => Math.abs(value) > Math.abs(most) ? value : most, 0) / -8;
        const [off, most] = [0, 0].map((_, which) =>
          block.reduce((sum, value, index) => {
            const nearest = scale === 0 ? 0 : scale * Math.max(-8, Math.min(7, Math.round(value / scale)));
            return sum + (value - (which === 0 ? found[row * columns + first + index]! : nearest)) ** 2;
          }, 0)
        );
        assert(off! <= most! * (1 + 1e-6) + 1e-12 * scale ** 2 + 1e-60, `${off} > ${most}`);
      }
    }
  }));
  const values = createGenerator("torch-cpu", 1).randn(1 << 16);
  const lost = relativeError(Float32Array.from(roundedToNibbles(values, 1 << 10)), values);
  assert(lost < 0.0825, `${lost}`);
});

Deno.test("QuantizedOutputs is off by at most half a unit, and is transposed", () => {
  const matrix = fc.record({
    columns: fc.integer({ min: 1, max: 40 }),
    cut: fc.integer({ min: 0, max: 3 }),
    seed: fc.array(fc.float({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 50 }),
  });
  fc.assert(fc.property(matrix, ({ columns, cut, seed }) => {
    const values = Float32Array.from({ length: 3 * columns }, (_, index) => seed[index % seed.length]!);
    const outputs = new QuantizedOutputs(3, columns);
    outputs.add(values.subarray(0, cut * columns), 0);
    outputs.add(values.subarray(cut * columns), cut);
    values.forEach((value, index) => {
      const row = Math.floor(index / columns);
      const scale = outputs.scales[row]!;
      const stored = outputs.values[(index % columns) * 3 + row]!;
      assert(Math.abs(stored * scale - value) <= scale * 0.5001 + 1e-37);
    });
  }));
});

for (const recipe of Object.values(RECIPES)) {
  Deno.test(`a linear layer in ${recipe.name} is close to the one in float32`, () =>
    withSyntheticCheckpoint(async ({ component, cache }) => {
      const outputs: Float32Array[] = [];
      const name = "encoder.block.0.layer.1.DenseReluDense.wi_0";
      const plain = await component.weights();
      const [rows = 0, columns = 0] = plain.locate(`${name}.weight`).shape;
      for (const weights of [plain, await openQuantized(component, recipe.name, cache)]) {
        const g = new GraphBuilder();
        const x = g.input("x", "float32", ["tokens", columns]);
        g.output("y", new Layers(g, weights).linear(name, x, columns, rows, { bias: false }), [
          "tokens",
          rows,
        ]);
        await using session = await runtime.open(g.build("linear"));
        const data = Float32Array.from({ length: 2 * columns }, (_, index) => Math.sin(index));
        outputs.push(
          (await session.run({ x: tensor("float32", [2, columns], data) })).y!.data as Float32Array,
        );
      }
      const [wanted, found] = outputs as [Float32Array, Float32Array];
      const relative = relativeError(found, wanted);
      assert(relative > 0 && relative < LARGEST_ERRORS[recipe.name], `off by ${relative}`);
    }));
}

Deno.test("channels that are tens of times as large as others do not reduce the precision of integer products", () =>
  withSyntheticCheckpoint(async ({ component, cache }) => {
    const name = "encoder.block.0.layer.1.DenseReluDense.wi_0";
    const plain = await component.weights();
    const [rows = 0, columns = 0] = plain.locate(`${name}.weight`).shape;
    const data = createGenerator("torch-cpu", 1).randn(300 * columns);
    // Outliers: three channels of all rows, and one value of one row.
    data.forEach((value, index) => data[index] = [3, 17, 40].includes(index % columns) ? 60 * value : value);
    data[5 * columns + 9] = 300;
    const outputs: Float32Array[] = [];
    const recipes = ["int8", "int8-blocks", "int8-a16"] as const;
    for (const recipe of [undefined, ...recipes]) {
      const weights = recipe ? await openQuantized(component, recipe, cache) : plain;
      const g = new GraphBuilder();
      const x = g.input("x", "float32", ["tokens", columns]);
      g.output("y", new Layers(g, weights).linear(name, x, columns, rows, { bias: false }), ["tokens", rows]);
      await using session = await runtime.open(g.build("linear"));
      const { y } = await session.run({ x: tensor("float32", [300, columns], data) });
      outputs.push(y!.data as Float32Array);
    }
    const [wanted, ...found] = outputs;
    const [bytes, blocks, split] = found.map((values) => relativeError(values, wanted!));
    assert(bytes! < 0.01, `off by ${bytes}`);
    assert(blocks! > 1.5 * bytes!, `in blocks off by ${blocks}, else by ${bytes}`);
    assert(split! < 0.005, `with activations of 16 bits off by ${split}`);
  }));

Deno.test("a matrix read in pieces is quantized as if in one piece, and other tensors are copied", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [rows, columns] = [4300, 1000];
    const name = "encoder.block.0.layer.0.SelfAttention.q.weight";
    const values = createGenerator("torch-cpu", 1).randn(rows * columns);
    const matrix = tensor("float32", [rows, columns], values);
    await writeAtomically(
      join(folder, "model.safetensors"),
      encodeSafetensors({ [name]: matrix, "shared.weight": matrix }),
    );
    const files = { paths: ["model.safetensors"] };
    const weights = await openSafetensorsWeights(await openDiskSource(folder), "toy", files);
    await writeQuantized(join(folder, "int8", "model.safetensors"), weights, RECIPES.int8, {
      component: "0",
      name: "toy",
    });
    const { tensors } = await readSafetensorsFile(join(folder, "int8", "model.safetensors"));
    const outputs = new QuantizedOutputs(rows, columns);
    outputs.add(values, 0);
    assert.deepEqual(tensors[`${name}.packed`]?.data, outputs.values);
    assert.deepEqual(tensors[`${name}.scales`]?.data, outputs.scales);
    assert.deepEqual(tensors["shared.weight"]?.data, values);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("norms, embeddings, biases and the adaLN parts are not quantized", () => {
  for (
    const name of ["shared.weight", "scale_shift_table", "adaln_single.linear.weight", "proj_out.weight"]
  ) {
    assert(!isQuantized(name, [8, 8]), name);
  }
  assert(!isQuantized("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", [32, 64]));
  assert(!isQuantized("transformer_blocks.0.attn1.to_q.bias", [8]));
  assert(isQuantized("transformer_blocks.27.ff.net.0.proj.weight", [8, 8]));
  assert(isQuantized("encoder.block.3.layer.1.DenseReluDense.wi_1.weight", [8, 8]));
});

Deno.test("a killed quantization leaves no file that is trusted, and the next one continues to the same bytes", () =>
  withSyntheticCheckpoint(async ({ checkpoint, cache, component }) => {
    const whole = join(checkpoint, "..", "whole");
    await openQuantized(component, "int8", whole);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL("./kill_main.ts", import.meta.url).pathname, checkpoint, cache],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    for (let seen = ""; !seen.includes("\n5\n");) seen += (await reader.read()).value ?? "";
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();

    const path = await onlyFile(cache);
    await assert.rejects(Deno.stat(path), "no file has the name of a whole one");
    await Deno.stat(`${path}.partial`);
    await openQuantized(component, "int8", cache);
    assert.deepEqual(await Deno.readFile(path), await Deno.readFile(await onlyFile(whole)));
    await assert.rejects(Deno.stat(`${path}.partial`));
  }));

Deno.test("an aborted quantization continues where it stopped, and rewrites what was damaged since", () =>
  withSyntheticCheckpoint(async ({ cache, component }) => {
    const controller = new AbortController();
    const stopped = openQuantized(component, "int8", cache, {
      signal: controller.signal,
      onProgress: ({ done }) => done === 7 && controller.abort(new Error("stopped")),
    });
    await assert.rejects(stopped, /stopped/);
    const path = await onlyFile(cache);
    const { size } = await Deno.stat(`${path}.partial`);
    await Deno.truncate(`${path}.partial`, size - 1);
    let first = 0;
    await openQuantized(component, "int8", cache, { onProgress: ({ done }) => first ||= done });
    assert.equal(first, 1, "a file that is shorter than its journal says is begun anew");

    await Deno.remove(cache, { recursive: true });
    const again = new AbortController();
    await assert.rejects(openQuantized(component, "int8", cache, {
      signal: again.signal,
      onProgress: ({ done }) => done === 7 && again.abort(new Error("stopped")),
    }));
    first = 0;
    await openQuantized(component, "int8", cache, { onProgress: ({ done }) => first ||= done });
    assert.equal(first, 8, "the seven that were done are kept");
  }));

Deno.test("a changed checkpoint is quantized again, even if its fingerprint is the same", () =>
  withSyntheticCheckpoint(async ({ checkpoint, cache, component }) => {
    await openQuantized(component, "int8", cache);
    const shard = join(checkpoint, "text_encoder", "model-00002-of-00002.safetensors");
    const bytes = await Deno.readFile(shard);
    const before = await fingerprint(component);
    let offset = Math.floor(bytes.length / 2);
    for (;; offset += 4096) {
      bytes[offset]! ^= 0x3f;
      await Deno.writeFile(shard, bytes);
      if (await fingerprint(component) === before) break;
      bytes[offset]! ^= 0x3f;
    }
    let tensors = 0;
    await openQuantized(component, "int8", cache, { onProgress: () => tensors++ });
    assert(tensors > 0);
    assert.equal((await Array.fromAsync(Deno.readDir(cache))).length, 2);
    await openQuantized(component, "int8", cache, { onProgress: () => assert.fail("it already exists") });
  }));

Deno.test("a truncated shard is reported, and nothing of it is kept", () =>
  withSyntheticCheckpoint(async ({ checkpoint, cache, component }) => {
    const shard = join(checkpoint, "text_encoder", "model-00002-of-00002.safetensors");
    await Deno.truncate(shard, (await Deno.stat(shard)).size - 100);
    await assert.rejects(openQuantized(component, "int8", cache), /model-00002-of-00002/);
    await assert.rejects(Deno.stat(cache));
  }));

Deno.test("a folder that is not writable is reported by name", () =>
  withSyntheticCheckpoint(async ({ checkpoint, component }) => {
    const file = join(checkpoint, "model_index.json");
    await assert.rejects(
      openQuantized(component, "int8", file),
      (error) => error instanceof FileError && error.message.includes("model_index.json"),
    );
  }));

Deno.test("a text encoder in int8 is close to the one in float32", () =>
  withSyntheticCheckpoint(async ({ component, cache }) => {
    const config = T5EncoderConfig.parse(component.config);
    const encoded: Float32Array[] = [];
    for (const weights of [await component.weights(), await openQuantized(component, "int8-a16", cache)]) {
      for (const residency of ["stage", "stream"] as const) {
        await using encoder = await T5Encoder.open(runtime, config, weights, { residency });
        encoded.push((await encoder.encode([5, 6, 7, 8, 1])).data);
      }
    }
    assert.deepEqual(encoded[2], encoded[3], "streaming changes nothing");
    const [wanted, , found] = encoded as [Float32Array, Float32Array, Float32Array];
    const dot = found.reduce((sum, value, index) => sum + value * wanted[index]!, 0);
    const cosine = dot / Math.hypot(...found) / Math.hypot(...wanted);
    assert(cosine > 0.9999 && cosine < 1 - 1e-9, `cosine ${cosine}`);
  }));
