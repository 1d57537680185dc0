import assert from "node:assert/strict";
import type { Tensor } from "../../artifacts/tensor.ts";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { toPixels } from "../../images/pixels.ts";
import { psnr } from "../../images/similarity.ts";
import { localRun } from "../../local.ts";
import { localDevice } from "../../devices/local_devices.ts";
import { compareTensors } from "../../artifacts/compare_tensors.ts";
import { LARGEST_ERRORS } from "../../devices/device_probe.ts";
import type { Precision } from "../../models/precision.ts";
import { goldenPath } from "../goldens.ts";

const { float32, float16, reason } = await localDevice("webgpu");
const isRight = float32 !== undefined && float32 <= LARGEST_ERRORS.float32;
const notice = isRight ? "" : ` (skipped: ${reason ?? "its driver computes wrongly"})`;

/** Checkpoints that use every operator between them: size conditions or not, captions of all kinds, both decoders. */
const CHECKPOINTS = ["tiny-alpha-512", "tiny-lcm", "tiny-sigma"];

/** What a run on a device gives. */
async function make(checkpoint: string, device: "cpu" | "webgpu", precision: Precision) {
  const request = {
    model: goldenPath(`checkpoints/${checkpoint}`),
    prompts: ["a red car in the snow"],
    negativePrompt: "blurry",
    guidanceScale: 4.5,
    steps: 2,
    height: 64,
    width: 96,
    resolutionBinning: false,
    precision: { "*": precision },
  };
  const made = await runGraph(textToImage(request), {
    ...localRun({ device }),
    outputs: ["pair.embeddings", "denoise.latents"],
  });
  const tensorOf = (output: string, name: string) =>
    made.get(output)!.artifact.tensors[name] as Tensor<"float32">;
  return {
    embeddings: tensorOf("pair.embeddings", "prompt_embeds").data,
    latents: tensorOf("denoise.latents", "latents").data,
    pixels: toPixels(tensorOf("decode.image", "image"))[0]!,
  };
}

Deno.test(
  `WebGPU gives the CPU's embeddings, latents and picture${notice}`,
  { ignore: !isRight },
  async () => {
    for (const checkpoint of CHECKPOINTS) {
      const cpu = await make(checkpoint, "cpu", "float32");
      const gpu = await make(checkpoint, "webgpu", "float32");
      const embeddings = compareTensors(cpu.embeddings, gpu.embeddings).relativeError;
      const latents = compareTensors(cpu.latents, gpu.latents).relativeError;
      const likeness = psnr(cpu.pixels, gpu.pixels);
      assert(embeddings < 1e-5, `${checkpoint}: embeddings off by ${embeddings}`);
      assert(latents < 1e-4, `${checkpoint}: latents off by ${latents}`);
      assert(likeness > 70, `${checkpoint}: ${likeness} dB`);
    }
  },
);

Deno.test(
  `WebGPU in float16 and int8 stays near the CPU in the same weights${notice}`,
  { ignore: !isRight || float16 === undefined },
  async () => {
    const [checkpoint = ""] = CHECKPOINTS;
    const folder = await Deno.makeTempDir({ prefix: "pixstage-quantized-" });
    Deno.env.set("PIXSTAGE_QUANTIZED", folder);
    // A CPU quantizes activations too where weights are in int8.
    const limits = [["float16", 0.03, 40], ["int8", 0.2, 25]] as const;
    for (const [precision, largestError, leastLikeness] of limits) {
      const cpu = await make(checkpoint, "cpu", precision === "float16" ? "float32" : precision);
      const gpu = await make(checkpoint, "webgpu", precision);
      const latents = compareTensors(cpu.latents, gpu.latents).relativeError;
      const likeness = psnr(cpu.pixels, gpu.pixels);
      assert(latents > 0 && latents < largestError, `${precision}: latents off by ${latents}`);
      assert(likeness > leastLikeness, `${precision}: ${likeness} dB`);
    }
    Deno.env.delete("PIXSTAGE_QUANTIZED");
    await Deno.remove(folder, { recursive: true });
  },
);
