import assert from "node:assert/strict";
import { fc } from "../../../random.ts";
import { type Tensor, tensor } from "../../../../artifacts/tensor.ts";
import { AutoencoderConfig } from "../../../../models/vae/autoencoder_config.ts";
import { AutoencoderKLConfig } from "../../../../models/vae/autoencoder_kl_config.ts";
import { openComponent } from "../../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../../models/checkpoint/disk_source.ts";
import { GroupStatistics } from "../../../../models/vae/tiling/group_statistics.ts";
import { planSeamless } from "../../../../models/vae/tiling/seamless_plan.ts";
import { SeamlessDecoder } from "../../../../models/vae/tiling/seamless_decoder.ts";
import { sourceRows, strips } from "../../../../models/vae/tiling/strips.ts";
import { OutOfMemoryError } from "../../../../models/out_of_memory.ts";
import { chooseTiling, TiledVaeDecoder } from "../../../../models/vae/tiling/tiled_vae_decoder.ts";
import { VaeDecoder } from "../../../../models/vae/decoder_runner.ts";
import { createGenerator } from "../../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../../runtime/onnxruntime_node.ts";
import type { Runtime } from "../../../../runtime/runtime.ts";
import { goldenPath } from "../../../goldens.ts";
import { openTiny, TINY_CHECKPOINTS } from "../../tiny_checkpoints.ts";
import REFERENCE from "./tiled_reference.json" with { type: "json" };

const runtime = new OnnxRuntimeNode();

function noise(height: number, width: number): Tensor<"float32"> {
  return tensor(
    "float32",
    [1, 4, height, width],
    createGenerator("torch-cpu", 1).randn(4 * height * width),
  );
}

function largestDifference(a: Tensor<"float32">, b: Tensor<"float32">): number {
  assert.deepEqual(a.shape, b.shape);
  return a.data.reduce((largest, value, index) => Math.max(largest, Math.abs(value - b.data[index]!)), 0);
}

for (const checkpoint of TINY_CHECKPOINTS) {
  Deno.test(`a seamless picture of ${checkpoint} equals the picture of one piece for all strip sizes`, async () => {
    const vae = await openTiny(checkpoint, "vae");
    const config = AutoencoderKLConfig.parse(vae.config);
    const weights = await vae.weights();
    const latents = noise(13, 9);
    await using whole = await VaeDecoder.open(runtime, config, weights);
    const expected = await whole.decode(latents);
    for (const stripRows of [1, 2, 7, 16, 1000]) {
      for (const mapBytes of [undefined, 1e9]) {
        const picture = await new SeamlessDecoder(runtime, config, weights, { stripRows, mapBytes }).decode(
          latents,
        );
        const difference = largestDifference(picture, expected);
        assert(difference < 2e-5, `strips of ${stripRows}: off by ${difference}`);
      }
    }
  });
}

Deno.test("a blended picture equals the one that diffusers decodes in tiles", async () => {
  for (const { checkpoint, height, width, tileSize, tileOverlap, ...golden } of REFERENCE.runs) {
    const source = await openDiskSource(goldenPath(`checkpoints/${checkpoint}`));
    const vae = await openComponent(source);
    const config = AutoencoderConfig.parse(vae.config);
    await using tiled = new TiledVaeDecoder(runtime, config, await vae.weights(), {
      tiling: "blended",
      tileSize,
      tileOverlap,
    });
    const { shape, data } = await tiled.decode(noise(height, width));
    assert.deepEqual(shape, golden.shape);
    for (const [index, expected] of golden.values.entries()) {
      const off = Math.abs(data[index * REFERENCE.stride]! - expected);
      assert(off < golden.limit, `${checkpoint} ${height} x ${width}: value ${index} is off by ${off}`);
    }
  }
});

Deno.test("blended tiles must be larger than their overlap", async () => {
  const vae = await openTiny("tiny-alpha-512", "vae");
  await using tiled = new TiledVaeDecoder(
    runtime,
    AutoencoderConfig.parse(vae.config),
    await vae.weights(),
    { tiling: "blended", tileSize: 72, tileOverlap: 128 },
  );
  await assert.rejects(tiled.decode(noise(8, 8)), {
    code: "out_of_range",
    message: "tileOverlap must be smaller than tileSize, 72: current value is 128",
  });
});

Deno.test("a decoder that runs out of memory falls back to strips once, then says what to do", async () => {
  const vae = await openTiny("tiny-alpha-512", "vae");
  const config = AutoencoderConfig.parse(vae.config);
  const weights = await vae.weights();
  const failing = (allowed: RegExp): Runtime => ({
    device: "cpu",
    traits: runtime.traits,
    open: (graph, options) => {
      if (allowed.test(graph.name)) return runtime.open(graph, options);
      return Promise.reject(
        new Error(`Cannot run graph ${graph.name}: Failed to allocate memory for requested buffer`),
      );
    },
  });
  const latents = noise(8, 8);
  const fallbacks: Error[] = [];
  await using recovering = new TiledVaeDecoder(failing(/start|resnets|upsamplers|end/), config, weights, {
    onFallback: (error) => fallbacks.push(error),
  });
  await using whole = await VaeDecoder.open(runtime, config, weights);
  assert(largestDifference(await recovering.decode(latents), await whole.decode(latents)) < 2e-5);
  assert.equal(fallbacks.length, 1);
  await using hopeless = new TiledVaeDecoder(failing(/never/), config, weights);
  await assert.rejects(
    hopeless.decode(latents),
    (error) => error instanceof OutOfMemoryError && error.message.includes("smaller picture"),
  );
});

Deno.test("a picture in float16 is close to that in float32, which is used if values overflow float16", async () => {
  // This CPU emulates float16 by casting, so it can stand in for a GPU.
  const gpu: Runtime = {
    device: "gpu",
    traits: { hostMemory: false, float16: "blocks" },
    open: (...graph) => runtime.open(...graph),
  };
  for (const checkpoint of TINY_CHECKPOINTS) {
    const vae = await openTiny(checkpoint, "vae");
    const config = AutoencoderKLConfig.parse(vae.config);
    const weights = await vae.weights();
    await using whole = await VaeDecoder.open(runtime, config, weights);
    const options = { tiling: "none", computeType: "float16" } as const;
    let overflows = 0;
    await using half = new TiledVaeDecoder(gpu, config, weights, {
      ...options,
      onOverflow: () => overflows++,
    });
    const latents = noise(13, 9);
    const difference = largestDifference(await half.decode(latents), await whole.decode(latents));
    assert(difference > 0 && difference < 1e-2, `${checkpoint}: off by ${difference}`);
    assert.equal(overflows, 0);
    // A CPU does not overflow because it computes in float32 between casts.
    const wrong = tensor("float32", latents.shape, latents.data.map(() => NaN));
    await half.decode(wrong);
    assert.equal(overflows, 1, checkpoint);
    assert(largestDifference(await half.decode(latents), await whole.decode(latents)) < 2e-5, "in float32");
  }
});

const CPU = { hostMemory: true, float16: false } as const;
const GPU = { hostMemory: false, float16: "weights" } as const;

Deno.test("large pictures of AutoencoderKL are decoded without seams on a CPU", async () => {
  const kl = AutoencoderConfig.parse((await openTiny("tiny-alpha-512", "vae")).config);
  assert.equal(chooseTiling(kl, CPU, 1024 ** 2), "seamless");
  assert.equal(chooseTiling(kl, CPU, 256 ** 2), "none");
  assert.equal(chooseTiling(kl, GPU, 1024 ** 2), "none");
  assert.equal(
    chooseTiling(AutoencoderConfig.parse({ _class_name: "AutoencoderTiny" }), CPU, 1024 ** 2),
    "none",
  );
});

Deno.test("planSeamless() keeps 0.54 GB of feature maps for 1024 x 1024, and recomputes less if it may keep more", () => {
  const config = AutoencoderKLConfig.parse({ block_out_channels: [128, 256, 512, 512], layers_per_block: 2 });
  const size = { height: 128, width: 128 };
  const least = planSeamless(config, size);
  assert.equal(least.mapBytes, 4 * 128 * 1024 ** 2);
  // Half of the first inner feature maps fit beside their source in the last block, and none beside later ones.
  assert.deepEqual(least.steps.slice(9).map(({ innerRows }) => innerRows), [512, 0, 0]);
  const more = planSeamless(config, size, 4e9);
  assert(more.mapBytes > least.mapBytes && more.mapBytes <= 4e9);
  assert(more.steps.every(({ innerRows, sizes }) => innerRows === sizes.rows));
});

Deno.test("strips cover all rows, and each reads the rows that its convolutions see", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 0, max: 3 }),
      (half, height, halo) => {
        const rows = 2 * half;
        const covered = strips(rows, height).flatMap(({ first, end }) =>
          Array.from({ length: end - first }, (_, i) => first + i)
        );
        assert.deepEqual(covered, Array.from({ length: rows }, (_, i) => i));
        for (const strip of strips(rows, height)) {
          const plain = sourceRows(strip, rows, halo, false);
          assert(
            plain.first <= Math.max(0, strip.first - halo) && plain.end >= Math.min(rows, strip.end + halo),
          );
          assert.equal(plain.first + plain.crop[0], strip.first);
          const doubled = sourceRows(strip, rows, halo, true);
          // Row u of the doubled feature maps depends on the small rows ⌊(u - 1) / 2⌋ and ⌊(u + 1) / 2⌋.
          assert(doubled.first <= Math.max(0, Math.floor((Math.max(0, strip.first - halo) - 1) / 2)));
          assert(doubled.end > Math.min(half - 1, Math.floor(Math.min(rows, strip.end + halo) / 2)));
          assert.equal(2 * doubled.first + doubled.crop[0], strip.first);
        }
      },
    ),
  );
});

Deno.test("GroupStatistics gathers the mean and variance of all strips", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 1 }), { minLength: 1 }),
      (parts) => {
        const statistics = new GroupStatistics(1);
        for (const part of parts) {
          const mean = part.reduce((sum, value) => sum + value, 0) / part.length;
          statistics.add([mean], [part.reduce((sum, value) => sum + (value - mean) ** 2, 0)], part.length);
        }
        const all = parts.flat();
        const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
        const variance = all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length;
        assert(Math.abs(statistics.means().data[0]! - mean) < 1e-4);
        assert(Math.abs(statistics.scales(1).data[0]! - 1 / Math.sqrt(variance + 1)) < 1e-4);
      },
    ),
  );
});
