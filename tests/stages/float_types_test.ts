import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { readArtifact } from "../../artifacts/files_on_disk.ts";
import { FLOAT8_VALUES, type Float8DType } from "../../artifacts/float8.ts";
import { toFloat32 } from "../../artifacts/half_precision.ts";
import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import { openComponent } from "../../models/checkpoint/component.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { COMPONENT_NAMES } from "../../models/checkpoint/model_index.ts";
import { openQuantized } from "../../models/quantization/open_quantized.ts";
import { T5EncoderConfig } from "../../models/t5/encoder_config.ts";
import { T5Encoder } from "../../models/t5/encoder_runner.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { editTensors, withCopy, withFolder } from "../models/checkpoint/copies.ts";
import { inFolder, TINY } from "../cli/run_cli.ts";
import { runHere } from "../cli/run_here.ts";
import REFERENCE from "./other_configs.json" with { type: "json" };

const SMALL = ["-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "2", "-s", "7", "--no-store"];
const FILES = {
  transformer: "diffusion_pytorch_model.safetensors",
  text_encoder: "model.safetensors",
  vae: "diffusion_pytorch_model.safetensors",
};

/** Rounds each value to the nearest 8-bit float, ties to even. */
function toFloat8<D extends Float8DType>(value: Tensor, dtype: D): Tensor {
  const finite = [...FLOAT8_VALUES[dtype]].map((known, bits) => ({ known, bits }))
    .filter(({ known, bits }) => bits < 0x80 && Number.isFinite(known));
  const nearest = (size: number): number => {
    let low = 0;
    let high = finite.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (finite[middle]!.known <= size) low = middle;
      else high = middle;
    }
    const [below, above] = [size - finite[low]!.known, finite[high]!.known - size];
    return below < above || (below === above && low % 2 === 0) ? low : high;
  };
  const data = Uint8Array.from(
    toFloat32(value).data,
    (one) => nearest(Math.abs(one)) | (one < 0 || Object.is(one, -0) ? 0x80 : 0),
  );
  return tensor<Float8DType>(dtype, value.shape, data);
}

/** Changes the type of every tensor of a component. */
async function convert(folder: string, file: string, change: (value: Tensor) => Tensor): Promise<void> {
  await editTensors(
    join(folder, file),
    (tensors) => Object.fromEntries(Object.entries(tensors).map(([name, value]) => [name, change(value)])),
  );
}

Deno.test("T5 with 8-bit weights returns the reference's hidden states", async () => {
  for (const { dtype, hidden } of REFERENCE.float8) {
    await withCopy(join(TINY, "text_encoder"), async (copy) => {
      await convert(copy, FILES.text_encoder, (value) => toFloat8(value, dtype as Float8DType));
      const component = await openComponent(await openDiskSource(copy), { component: "text_encoder" });
      const config = T5EncoderConfig.parse(component.config);
      await using encoder = await T5Encoder.open(new OnnxRuntimeNode(), config, await component.weights());
      const { data } = await encoder.encode(REFERENCE.ids);
      assert.equal(data.length, hidden.length);
      const largest = Math.max(...hidden.map(Math.abs));
      const off = Math.max(...hidden.map((value, i) => Math.abs(value - data[i]!))) / largest;
      assert(off < 5e-6, `${dtype}: off by ${off} of the largest value`);
    });
  }
});

Deno.test("an 8-bit checkpoint makes the latents and the picture of the same values in float32", () =>
  inFolder(async (folder) => {
    const made: string[] = [];
    for (const name of ["float8", "float32"]) {
      const model = join(folder, name);
      await cp(TINY, model, { recursive: true });
      for (const component of COMPONENT_NAMES) {
        await convert(join(model, component), FILES[component], (value) => {
          const rounded = toFloat8(value, "float8e4m3fn");
          return name === "float8" ? rounded : toFloat32(rounded);
        });
      }
      const files = ["--save-latents", `${name}.safetensors`, "--save-tensor", `${name}-picture.safetensors`];
      const { status, stderr } = await runHere(folder, "gen", "cute cat", "-m", model, ...SMALL, ...files);
      assert.equal(status, 0, stderr);
      made.push(`${name}.safetensors`, `${name}-picture.safetensors`);
    }
    const [latents, picture, latents32, picture32] = await Promise.all(
      made.map(async (file) => (await readArtifact(join(folder, file))).tensors),
    );
    assert.deepEqual(latents, latents32);
    assert.deepEqual(picture, picture32);
    const { stdout } = await runHere(folder, "inspect", join(folder, "float8"), "--json");
    assert.equal(JSON.parse(stdout).components.text_encoder.types, "float8e4m3fn");
    const file = await runHere(folder, "inspect", join(folder, "float8/text_encoder", FILES.text_encoder));
    assert.match(file.stdout, /shared\.weight: float8e4m3fn \[928,32\]/);
  }));

Deno.test("8-bit weights are quantized like the same values in float32", async () => {
  const values: unknown[] = [];
  for (const name of ["float8", "float32"]) {
    await withCopy(join(TINY, "text_encoder"), async (copy) => {
      await convert(copy, FILES.text_encoder, (value) => {
        const rounded = toFloat8(value, "float8e5m2");
        return name === "float8" ? rounded : toFloat32(rounded);
      });
      const component = await openComponent(await openDiskSource(copy), { component: "text_encoder" });
      await withFolder(async (folder) => {
        const weights = await openQuantized(component, "int8", folder);
        const { packed, scales } = weights.locate("encoder.block.1.layer.1.DenseReluDense.wo.weight")
          .quantized!;
        values.push([await weights.read(packed.name), await weights.read(scales.name)]);
      });
    });
  }
  assert.deepEqual(values[0], values[1]);
});

Deno.test("8-bit floats with scales are refused", async () => {
  await withCopy(join(TINY, "text_encoder"), async (copy) => {
    await editTensors(join(copy, FILES.text_encoder), (tensors) => ({
      "shared.weight": toFloat8(tensors["shared.weight"]!, "float8e4m3fn"),
      "encoder.block.0.layer.0.SelfAttention.q.scale_weight": tensor("float32", [], Float32Array.of(0.5)),
    }));
    const component = await openComponent(await openDiskSource(copy), { component: "text_encoder" });
    await assert.rejects(component.weights(), {
      name: "CheckpointError",
      message:
        /text_encoder because their 8-bit floats are scaled, by encoder.*\.scale_weight in model\.safetensors/,
    });
  });
});

Deno.test("embeddings and latents in float64 are converted to float32", () =>
  inFolder(async (folder) => {
    const gen = async (...args: string[]): Promise<void> => {
      const { status, stderr } = await runHere(folder, "gen", "-m", TINY, ...SMALL, ...args);
      assert.equal(status, 0, stderr);
    };
    const saved = ["--save-embeds", "e.safetensors", "--save-latents", "l.safetensors"];
    await gen("cute cat", ...saved, "--save-tensor", "a.safetensors");
    for (const file of ["e.safetensors", "l.safetensors"]) {
      await convert(folder, file, (value) =>
        value.dtype === "float32" ? tensor("float64", value.shape, Float64Array.from(value.data)) : value);
    }
    await gen("--load-embeds", "e.safetensors", "--save-tensor", "b.safetensors");
    const { status, stderr } = await runHere(
      folder,
      ...[
        "decode",
        "l.safetensors",
        "-m",
        TINY,
        "--no-store",
        "-o",
        "c.png",
        "--save-tensor",
        "c.safetensors",
      ],
    );
    assert.equal(status, 0, stderr);
    const [a, b, c] = await Promise.all(
      ["a", "b", "c"].map(async (name) =>
        (await readArtifact(join(folder, `${name}.safetensors`))).tensors
      ),
    );
    assert.deepEqual(b, a);
    assert.deepEqual(c, a);
  }));
