import assert from "node:assert/strict";
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readArtifact } from "../../artifacts/files_on_disk.ts";
import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import { openComponent } from "../../models/checkpoint/component.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { T5EncoderConfig } from "../../models/t5/encoder_config.ts";
import { T5Encoder } from "../../models/t5/encoder_runner.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { editTensors, withCopy } from "../models/checkpoint/copies.ts";
import { inFolder, TINY } from "../cli/run_cli.ts";
import { runHere } from "../cli/run_here.ts";
import REFERENCE from "./other_configs.json" with { type: "json" };

const TEXT_WIDTH = 32;

/** Overrides keys of a component's configuration. Keys with the value null are removed. */
async function editConfig(
  folder: string,
  change: Readonly<Record<string, unknown>>,
  removesNulls: boolean,
): Promise<void> {
  const path = join(folder, "config.json");
  const config = { ...JSON.parse(await Deno.readTextFile(path)), ...change };
  const kept = Object.entries(config).filter(([, value]) => value !== null || !removesNulls);
  await writeFile(path, JSON.stringify(Object.fromEntries(kept)));
}

/** Returns the first columns of a matrix. */
function columns({ shape: [rows = 0, width = 0], data }: Tensor, count: number): Tensor {
  const cut = new Float32Array(rows * count);
  for (let row = 0; row < rows; row++) {
    cut.set((data as Float32Array).subarray(row * width, row * width + count), row * count);
  }
  return tensor("float32", [rows, count], cut);
}

/** Returns the largest difference as a fraction of the largest value. */
function deviation(actual: ArrayLike<number>, expected: readonly number[]): number {
  assert.equal(actual.length, expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, index) => Math.abs(value - actual[index]!))) / largest;
}

for (const { config, limit, latents } of REFERENCE.transformers) {
  Deno.test(`a transformer with ${JSON.stringify(config)} returns the reference's latents`, () =>
    inFolder(async (folder) => {
      const model = join(folder, "model");
      await cp(TINY, model, { recursive: true });
      const transformer = join(model, "transformer");
      await editConfig(transformer, config, false);
      if ("caption_channels" in config) {
        await editTensors(
          join(transformer, "diffusion_pytorch_model.safetensors"),
          (tensors) =>
            Object.fromEntries(
              Object.entries(tensors).filter(([name]) => !name.startsWith("caption_projection."))
                .map(([name, value]) => [
                  name,
                  /attn2\.to_[kv]\.weight$/.test(name) ? columns(value, TEXT_WIDTH) : value,
                ]),
            ),
        );
      }
      const { status, stderr } = await runHere(
        folder,
        ...["gen", "cute cat", "-m", model, "-W", "64", "-H", "48", "--no-resolution-binning", "-s", "7"],
        ...["--steps", "2", "--no-store", "--until", "denoise", "--save-latents", "l.safetensors"],
      );
      assert.equal(status, 0, stderr);
      const made = (await readArtifact(join(folder, "l.safetensors"))).tensors["latents"]!.data;
      const off = deviation(made as Float32Array, latents);
      assert(off < limit, `off by ${off} of the largest value`);
    }));
}

Deno.test("T5 with other activations, gated or not, returns the reference's hidden states", async () => {
  for (const { config, hidden } of REFERENCE.textEncoders) {
    await withCopy(join(TINY, "text_encoder"), async (copy) => {
      await editConfig(copy, config, true);
      const parsed = T5EncoderConfig.parse(JSON.parse(await Deno.readTextFile(join(copy, "config.json"))));
      if (!parsed.is_gated) {
        await editTensors(join(copy, "model.safetensors"), (tensors) =>
          Object.fromEntries(
            Object.entries(tensors).filter(([name]) => !name.includes(".wi_1."))
              .map(([name, value]) => [name.replace(".wi_0.", ".wi."), value]),
          ));
      }
      const component = await openComponent(await openDiskSource(copy), { component: "text_encoder" });
      await using encoder = await T5Encoder.open(new OnnxRuntimeNode(), parsed, await component.weights());
      const { data } = await encoder.encode(REFERENCE.ids);
      const off = deviation(data, hidden);
      assert(off < 5e-6, `${JSON.stringify(config)}: off by ${off} of the largest value`);
    });
  }
});
