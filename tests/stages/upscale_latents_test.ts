import assert from "node:assert/strict";
import type { Artifact } from "../../artifacts/artifact.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { runGraph } from "../../graph/run.ts";
import { localRun } from "../../local.ts";
import { goldenPath } from "../goldens.ts";

const model = goldenPath("checkpoints/tiny-alpha-512");
const latents: Artifact = {
  kind: "latents",
  tensors: {
    latents: tensor("float32", [2, 4, 6, 8], Float32Array.from({ length: 384 }, (_, i) => Math.sin(i))),
  },
  metadata: {},
};

async function upscale(parameters: object): Promise<Artifact> {
  const nodes = {
    upscale: {
      stage: "upscale-latents",
      parameters: { model, ...parameters },
      inputs: { latents: { file: "l" } },
    },
  };
  const made = await runGraph({ pixstage: 1, nodes }, {
    ...localRun({ threads: 1 }),
    readFile: () => Promise.resolve({ artifact: latents }),
  });
  return made.get("upscale.latents")!.artifact;
}

Deno.test("upscale-latents makes latents of a larger picture, and records its size", async () => {
  const doubled = await upscale({});
  assert.deepEqual(doubled.tensors["latents"]!.shape, [2, 4, 12, 16]);
  assert.deepEqual(doubled.metadata["size"], { height: 96, width: 128 });
  const sized = await upscale({ height: 64, width: 80, mode: "nearest" });
  assert.deepEqual(sized.tensors["latents"]!.shape, [2, 4, 8, 10]);
  const same = await upscale({ factor: 1 });
  assert.deepEqual(same.tensors["latents"]!.data, latents.tensors["latents"]!.data);
});

Deno.test("upscale-latents refuses sizes that the model cannot denoise, and a size with only one side", async () => {
  await assert.rejects(upscale({ factor: 1.1 }), /Height and width must be multiples of 16/);
  await assert.rejects(upscale({ height: 100, width: 64 }), /must be multiples of 16/);
  await assert.rejects(upscale({ height: 64 }), /only one of height and width/);
  await assert.rejects(upscale({ factor: 0.5 }), /factor/);
  await assert.rejects(upscale({ mode: "lanczos" }), /mode/);
});
