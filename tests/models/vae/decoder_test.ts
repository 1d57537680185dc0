import assert from "node:assert/strict";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import { AutoencoderConfig } from "../../../models/vae/autoencoder_config.ts";
import {
  autoencoderKLDecoderSegments,
  autoencoderKLEncoderGraph,
} from "../../../models/vae/autoencoder_kl.ts";
import {
  autoencoderTinyDecoderGraph,
  autoencoderTinyEncoderGraph,
} from "../../../models/vae/autoencoder_tiny.ts";
import { SegmentedModel } from "../../../models/segments.ts";
import { VaeDecoder } from "../../../models/vae/decoder_runner.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import {
  assertNear,
  type Case,
  openTiny,
  readCases,
  readProbes,
  rows,
  TINY_CHECKPOINTS,
} from "../tiny_checkpoints.ts";

const runtime = new OnnxRuntimeNode();
const LIMITS = { maxAbs: 2e-4, relL2: 2e-5 };

async function openVae(checkpoint: string, variant = "") {
  const component = await openTiny(checkpoint, "vae", variant);
  return { config: AutoencoderConfig.parse(component.config), weights: await component.weights() };
}

/**
 * Returns the latents that the pipeline decodes: the final latents of one image, divided by the scaling
 * factor.
 */
function scaled(run: Case, image: number, scalingFactor: number): Tensor<"float32"> {
  const { shape, data } = rows(run.tensors.final_latents as Tensor<"float32">, image);
  return tensor("float32", shape, data.map((value) => value / scalingFactor));
}

Deno.test("VaeDecoder reproduces the reference's picture of every case's final latents", async () => {
  const cases = await readCases(({ heavy, tensors }) => !heavy && "image_float" in tensors);
  assert(cases.length >= 8, `${cases.length}`);
  for (const run of cases) {
    const { config, weights } = await openVae(run.load.vae ?? run.checkpoint, run.load.variant);
    await using decoder = await VaeDecoder.open(runtime, config, weights);
    const { shape: [images = 0, ...size], sample } = run.entries.image_float!;
    const picture = new Float32Array(images * size.reduce((a, b) => a * b));
    for (let image = 0; image < images; image++) {
      const decoded = await decoder.decode(scaled(run, image, config.scaling_factor));
      assert.deepEqual(decoded.shape, [1, ...size]);
      picture.set(decoded.data, image * decoded.data.length);
    }
    const golden = run.tensors.image_float as Tensor<"float32">;
    assertNear(picture, golden.data, LIMITS, run.id, sample);
  }
});

Deno.test("VAE activations match the reference after every layer", async () => {
  for (const checkpoint of [...TINY_CHECKPOINTS, "tiny-taesd"]) {
    const { entries, tensors, run } = await readProbes(checkpoint);
    const { config, weights } = await openVae(checkpoint);
    const exposed = () => true;
    const graphs = config._class_name === "AutoencoderKL"
      ? autoencoderKLDecoderSegments(config, weights, { exposed })
      : [autoencoderTinyDecoderGraph(config, weights, { exposed })];
    await using model = await SegmentedModel.open(runtime, graphs);
    const { sample, ...values } = await model.run({ latents: scaled(run, 0, config.scaling_factor) });
    for (const [name, entry] of Object.entries(entries)) {
      // Upsampled feature maps are never created: upsampling is fused with the next convolution.
      const isDoubled = /^vae\/layer\.(5|10|15)$/.test(name);
      if (!name.startsWith("vae/") || isDoubled) continue;
      const actual = (name === "vae/decoder" ? sample : values[name.slice(4)]) as Tensor<"float32">;
      assert.deepEqual(actual.shape, entry.shape, name);
      const golden = tensors[name] as Tensor<"float32">;
      assertNear(actual.data, golden.data, { relL2: 2e-4 }, `${checkpoint}: ${name}`, entry.sample);
    }
  }
});

Deno.test("VaeDecoder produces the same bytes for every segmentation and residency", async () => {
  const { config, weights } = await openVae("tiny-lcm");
  const latents = tensor(
    "float32",
    [1, 4, 6, 5],
    Float32Array.from({ length: 120 }, (_, i) => Math.sin(i * i)),
  );
  await using whole = await VaeDecoder.open(runtime, config, weights);
  const expected = await whole.decode(latents);
  for (const residency of ["stage", "stream"] as const) {
    for (const layersPerSegment of [1, 2, 3]) {
      await using decoder = await VaeDecoder.open(runtime, config, weights, { residency, layersPerSegment });
      assert.deepEqual(
        (await decoder.decode(latents)).data,
        expected.data,
        `${residency} ${layersPerSegment}`,
      );
    }
  }
});

/** PyTorch's output for `sin(i²)`: every 19th and every 9th value. */
const ENCODED = {
  "tiny-alpha-512": {
    stride: 19,
    // deno-fmt-ignore
    values: [
      1.244756, 0.73636, 0.61398, 0.693817, 0.318142, 1.567218, 0.303964, -0.054413, 1.729626, 0.03497, 0.095308,
    ],
  },
  "tiny-taesd": {
    stride: 9,
    // deno-fmt-ignore
    values: [
      0.277531, -0.349411, 0.061629, -0.234689, 0.487989, 0.650549, -0.190927, -0.133755, 0.041573, -0.438396, 0.251466,
    ],
  },
};

Deno.test("both encoders reproduce the reference's latents", async () => {
  for (const [checkpoint, { stride, values }] of Object.entries(ENCODED)) {
    const { config, weights } = await openVae(checkpoint);
    const graph = config._class_name === "AutoencoderKL"
      ? autoencoderKLEncoderGraph(config, weights)
      : autoencoderTinyEncoderGraph(config, weights);
    await using session = await runtime.open(graph);
    const sample = tensor(
      "float32",
      [1, 3, 32, 48],
      Float32Array.from({ length: 4608 }, (_, i) => Math.sin(i * i)),
    );
    const [latents] = Object.values(await session.run({ sample })) as [Tensor<"float32">];
    assert.deepEqual(latents.shape, [1, checkpoint === "tiny-taesd" ? 4 : 8, 4, 6]);
    assertNear(latents.data, values, { maxAbs: 1e-5 }, checkpoint, { start: 0, stride });
  }
});
