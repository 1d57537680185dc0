import assert from "node:assert/strict";
import type { Tensor } from "../../artifacts/tensor.ts";
import { compareTensors } from "../../artifacts/compare_tensors.ts";
import { LARGEST_ERRORS } from "../../devices/device_probe.ts";
import { localDevice } from "../../devices/local_devices.ts";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { toPixels } from "../../images/pixels.ts";
import { psnr } from "../../images/similarity.ts";
import { localRun } from "../../local.ts";
import type { Precision } from "../../models/precision.ts";
import type { Device } from "../../runtime/device.ts";
import { withVariables } from "../environment.ts";
import { goldenPath } from "../goldens.ts";
import { needing } from "../needing.ts";

/**
 * Checkpoints that together use every operator: with and without size conditions, all kinds of captions, both
 * decoders.
 */
const CHECKPOINTS = ["tiny-alpha-512", "tiny-lcm", "tiny-sigma"];

/** Returns the results of a run on a device. */
async function make(
  model: string,
  device: Device,
  precision: Precision,
  size: { width: number; height: number },
) {
  const request = {
    model,
    prompts: ["a red car in the snow"],
    negativePrompt: "blurry",
    guidanceScale: 4.5,
    steps: 2,
    ...size,
    resolutionBinning: false,
    precision: { "*": precision },
  };
  const made = await runGraph(textToImage(request), {
    ...localRun({ device }),
    outputs: ["prompt.embeddings", "denoise.latents"],
  });
  const tensorOf = (output: string, name: string) =>
    made.get(output)!.artifact.tensors[name] as Tensor<"float32">;
  return {
    embeddings: tensorOf("prompt.embeddings", "prompt_embeds").data,
    latents: tensorOf("denoise.latents", "latents").data,
    pixels: toPixels(tensorOf("decode.image", "image"))[0]!,
  };
}

const TINY_SIZE = { width: 96, height: 64 };

for (const device of ["webgpu", "cuda"] as const) {
  const { float32, float16, reason } = await localDevice(device);
  const isRight = float32 !== undefined && float32 <= LARGEST_ERRORS.float32;
  const what = `${device}, where ${reason ?? "the driver computes wrongly"}`;

  Deno.test(needing({ what, isThere: isRight }, {
    name: `${device} matches the CPU's embeddings, latents and picture`,
    async fn() {
      for (const checkpoint of CHECKPOINTS) {
        const model = goldenPath(`checkpoints/${checkpoint}`);
        const cpu = await make(model, "cpu", "float32", TINY_SIZE);
        const gpu = await make(model, device, "float32", TINY_SIZE);
        const embeddings = compareTensors(cpu.embeddings, gpu.embeddings).relativeError;
        const latents = compareTensors(cpu.latents, gpu.latents).relativeError;
        const likeness = psnr(cpu.pixels, gpu.pixels);
        assert(embeddings < 1e-5, `${checkpoint}: embeddings off by ${embeddings}`);
        assert(latents < 1e-4, `${checkpoint}: latents off by ${latents}`);
        assert(likeness > 70, `${checkpoint}: ${likeness} dB`);
      }
    },
  }));

  Deno.test(needing({ what, isThere: isRight && float16 !== undefined }, {
    name: `${device} in float16 and int8 is close to the CPU with the same weights`,
    async fn() {
      const model = goldenPath(`checkpoints/${CHECKPOINTS[0]}`);
      const folder = await Deno.makeTempDir({ prefix: "pixstage-quantized-" });
      using _variables = withVariables({ PIXSTAGE_QUANTIZED: folder });
      // With int8 weights, a CPU also quantizes activations.
      const limits = [["float16", 0.03, 40], ["int8", 0.2, 25]] as const;
      for (const [precision, largestError, leastLikeness] of limits) {
        const cpu = await make(model, "cpu", precision === "float16" ? "float32" : precision, TINY_SIZE);
        const gpu = await make(model, device, precision, TINY_SIZE);
        const latents = compareTensors(cpu.latents, gpu.latents).relativeError;
        const likeness = psnr(cpu.pixels, gpu.pixels);
        assert(latents > 0 && latents < largestError, `${precision}: latents off by ${latents}`);
        assert(likeness > leastLikeness, `${precision}: ${likeness} dB`);
      }
      await Deno.remove(folder, { recursive: true });
    },
  }));

  Deno.test(needing({ what, isThere: isRight && float16 !== undefined }, {
    name: `${device} in float16 makes the same picture with the embedded model as float32 on the CPU`,
    async fn() {
      const size = { width: 128, height: 128 };
      const cpu = await make("pixstage-emoji", "cpu", "float32", size);
      const gpu = await make("pixstage-emoji", device, "float16", size);
      const likeness = psnr(cpu.pixels, gpu.pixels);
      assert(likeness > 45, `${likeness} dB`);
    },
  }));
}
