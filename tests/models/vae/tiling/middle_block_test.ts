import assert from "node:assert/strict";
import { tensor } from "../../../../artifacts/tensor.ts";
import type { Tensor } from "../../../../artifacts/tensor.ts";
import { compareTensors } from "../../../../artifacts/compare_tensors.ts";
import { openComponent } from "../../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../../models/checkpoint/disk_source.ts";
import { autoencoderKLDecoderStart, autoencoderKLEncoderEnd } from "../../../../models/vae/autoencoder_kl.ts";
import { AutoencoderKLConfig } from "../../../../models/vae/autoencoder_kl_config.ts";
import { middleBlockInParts } from "../../../../models/vae/tiling/middle_block.ts";
import { StripRun } from "../../../../models/vae/tiling/strip_run.ts";
import { OnnxRuntimeNode } from "../../../../runtime/onnxruntime_node.ts";
import { goldenPath } from "../../../goldens.ts";

const [HEIGHT, WIDTH] = [5, 7];
const POINTS = HEIGHT * WIDTH;
/** One query at a time, some that do not divide the points, and all at once. */
const SCORE_BYTES = [1, 4 * POINTS * 8, 4 * POINTS ** 2] as const;

const component = await openComponent(await openDiskSource(goldenPath("checkpoints/tiny-alpha-512/vae")), {});
const config = AutoencoderKLConfig.parse(component.config);
const weights = await component.weights();
const run = () => new StripRun(new OnnxRuntimeNode(), config, weights, {}, undefined);

function maps(channels: number): Tensor<"float32"> {
  const length = channels * POINTS;
  const data = Float32Array.from({ length }, (_, index) => Math.sin(index * index));
  return tensor("float32", [1, channels, HEIGHT, WIDTH], data);
}

Deno.test("the decoder's middle block gives the same with some queries at a time as with all", async () => {
  const latents = maps(config.latent_channels);
  const { hidden } = await run().runWhole(autoencoderKLDecoderStart(config, weights), { latents });
  for (const scoreBytes of SCORE_BYTES) {
    const parts = await middleBlockInParts(run(), "decoder", config, weights, latents, scoreBytes);
    assert.deepEqual(parts.shape, hidden!.shape);
    const { relativeError } = compareTensors((hidden as Tensor<"float32">).data, parts.data);
    assert(relativeError < 1e-6, `${scoreBytes} bytes of scores: off by ${relativeError}`);
  }
});

Deno.test("the encoder's middle block gives the same with some queries at a time as with all", async () => {
  const hidden = maps(config.block_out_channels.at(-1)!);
  const { moments } = await run().runWhole(autoencoderKLEncoderEnd(config, weights), { hidden });
  for (const scoreBytes of SCORE_BYTES) {
    const parts = await middleBlockInParts(run(), "encoder", config, weights, hidden, scoreBytes);
    assert.deepEqual(parts.shape, moments!.shape);
    const { relativeError } = compareTensors((moments as Tensor<"float32">).data, parts.data);
    assert(relativeError < 1e-6, `${scoreBytes} bytes of scores: off by ${relativeError}`);
  }
});
