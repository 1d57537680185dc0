import assert from "node:assert/strict";
import { join } from "node:path";
import { readSafetensorsFile } from "../../../artifacts/files_on_disk.ts";
import { encodeSafetensors } from "../../../artifacts/safetensors.ts";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import { runGraph } from "../../../graph/run.ts";
import { artifactPixels, pictureArtifact } from "../../../images/picture_artifact.ts";
import { fromPixels } from "../../../images/pixels.ts";
import { resizeLanczos } from "../../../images/resize_lanczos.ts";
import { localRun } from "../../../local.ts";
import { goldenPath } from "../../goldens.ts";
import {
  decodePictures,
  encodePictures,
  encoderCases,
  encoderCasesAtHand,
  matchEncoding,
} from "./encode_image_cases.ts";
import { CaseValues, inputPath, inputPicture, sha256 } from "./picture_goldens.ts";

const MODEL = goldenPath("checkpoints/tiny-alpha-512");

Deno.test("the reference has 21 cases of encoding", () => assert.equal(encoderCases.length, 21));

Deno.test("resizeLanczos() returns Pillow's bytes for every picture", async () => {
  for (const golden of encoderCases) {
    const values = new CaseValues("vae-encoder", golden);
    const { height, width } = golden.facts;
    const resized = await Promise.all(golden.pictures.map(async (name) => {
      const [pixels] = artifactPixels(await inputPicture(name));
      return resizeLanczos(pixels!, height, width);
    }));
    const bytes = new Uint8Array(resized.flatMap(({ data }) => [...data]));
    assert.equal(sha256(bytes), golden.sha256!.pixels, golden.id);
    values.hold("image", fromPixels(resized).data);
  }
});

Deno.test("encode-image matches the reference in the fast cases", async () => {
  const few = encoderCasesAtHand.filter(({ id }) => /^(01|16|20)-/.test(id));
  assert(few.length >= 1);
  for (const golden of few) {
    for (const tiling of ["none", "seamless"] as const) {
      await matchEncoding(golden, { tiling, decodes: false });
    }
  }
});

Deno.test("encode-image draws a sample with a seed per picture, or returns the mode", async () => {
  const golden = encoderCasesAtHand.find(({ id }) => id === "15-generators") ?? encoderCasesAtHand[0]!;
  const values = new CaseValues("vae-encoder", golden);
  const scale = Math.fround(golden.facts.scaling_factor);
  const sample = await encodePictures(golden, { posterior: "sample" });
  assert.equal(sample.deviation, undefined);
  values.hold("sample", sample.latents.map((value) => value / scale));
  const mode = await encodePictures(golden, { posterior: "mode" });
  assert.equal(mode.deviation, undefined);
  values.hold("decoded_mode", await decodePictures(golden, mode.shape, mode.latents));
});

/** Runs encode-image on an input picture, and returns the shape of its latents. */
async function latentShape(file: string, parameters: object, model = MODEL): Promise<readonly number[]> {
  const node = {
    stage: "encode-image",
    parameters: { model, ...parameters },
    inputs: { image: { file } },
  };
  const made = await runGraph({ pixstage: 1, nodes: { encode: node } }, localRun());
  return made.get("encode.latents")!.artifact.tensors["latents"]!.shape;
}

Deno.test("encode-image takes the size from the model or the picture", async () => {
  const wide = inputPath("shapes-75x53");
  const parameters = { resolutionBinning: false, height: 32, width: 48 };
  assert.deepEqual(await latentShape(wide, parameters), [1, 4, 4, 6]);
  assert.deepEqual(await latentShape(wide, { sizing: "picture" }), [1, 4, 6, 9]);
  assert.deepEqual(await latentShape(wide, { sizing: "picture", width: 31 }), [1, 4, 6, 3]);
});

Deno.test("encode-image refuses what it cannot encode", async () => {
  const wide = inputPath("shapes-75x53");
  const code = (code: string) => (error: { code: string }) => error.code === code;
  await assert.rejects(latentShape(wide, { sizing: "picture", width: 7 }), code("out_of_range"));
  await assert.rejects(latentShape(wide, { height: 63, resolutionBinning: false }), code("out_of_range"));
  await assert.rejects(
    latentShape(wide, { tiling: "blended" }),
    code("invalid_graph"),
  );
  const store = new MemoryStore();
  const greys = tensor("float32", [1, 1, 8, 8], new Float32Array(64));
  const artifact = await store.put({ kind: "image", tensors: { image: greys }, metadata: {} });
  const nodes = {
    encode: { stage: "encode-image", parameters: { model: MODEL }, inputs: { image: { artifact } } },
  };
  await assert.rejects(runGraph({ pixstage: 1, nodes }, { ...localRun(), store }), code("invalid_artifact"));
});

Deno.test("encode-image refuses an autoencoder with only a decoder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const vae = join(MODEL, "vae");
    const weights = "diffusion_pytorch_model.safetensors";
    await Deno.copyFile(join(vae, "config.json"), join(folder, "config.json"));
    const { tensors } = await readSafetensorsFile(join(vae, weights));
    const decoder = Object.entries(tensors).filter(([name]) => /^(decoder|post_quant_conv)\./.test(name));
    const chunks = encodeSafetensors(Object.fromEntries(decoder), {});
    await Deno.writeFile(join(folder, weights), new Blob(chunks as BlobPart[]).stream());
    const run = latentShape(inputPath("shapes-75x53"), { sizing: "picture" }, folder);
    await assert.rejects(run, { code: "missing_weight" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("pictures give the same result as artifacts and as pixels", () => {
  const pixels = { width: 2, height: 3, data: Uint8Array.from({ length: 18 }, (_, i) => i) };
  const artifact = pictureArtifact(pixels);
  assert.deepEqual(artifact.tensors["image"]!.shape, [1, 3, 3, 2]);
  assert.deepEqual(artifactPixels(artifact), [pixels]);
  const floats = { tensors: { image: fromPixels([pixels]) } };
  assert.deepEqual(artifactPixels(floats), [pixels]);
});
