import assert from "node:assert/strict";
import { join } from "node:path";
import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import type { PixstageError } from "../../errors/pixstage_error.ts";
import type { RunEvent } from "../../graph/events.ts";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { localRun } from "../../local.ts";
import { goldenPath } from "../goldens.ts";
import { editTensors, withCopy } from "../models/checkpoint/copies.ts";

type Tensors = Readonly<Record<string, Tensor>>;

/** Weight files that lack what the configuration requires: the file, the change, the error. */
const FAULTS: readonly [file: string, change: (tensors: Tensors) => Tensors, code: string, told: RegExp][] = [
  [
    "text_encoder/model.safetensors",
    without("encoder.final_layer_norm.weight"),
    "missing_weight",
    /find encoder\.final_layer_norm\.weight .* tiny-alpha-512\/text_encoder/,
  ],
  [
    "text_encoder/model.safetensors",
    cut("encoder.block.0.layer.0.layer_norm.weight"),
    "weight_shape",
    /encoder\.block\.0\.layer\.0\.layer_norm\.weight.*\[3\]/,
  ],
  [
    "transformer/diffusion_pytorch_model.safetensors",
    without("transformer_blocks.1.attn2.to_k.weight"),
    "missing_weight",
    /find transformer_blocks\.1\.attn2\.to_k\.weight .* tiny-alpha-512\/transformer/,
  ],
  [
    "transformer/diffusion_pytorch_model.safetensors",
    cut("proj_out.bias"),
    "weight_shape",
    /proj_out\.bias.*\[3\]/,
  ],
  [
    "vae/diffusion_pytorch_model.safetensors",
    without("decoder.conv_out.weight"),
    "missing_weight",
    /find decoder\.conv_out\.weight .* tiny-alpha-512\/vae/,
  ],
  ["vae/diffusion_pytorch_model.safetensors", cut("decoder.conv_in.bias"), "weight_shape", /conv_in\.bias/],
];

/** A tensor is missing. */
function without(name: string): (tensors: Tensors) => Tensors {
  return ({ [name]: found, ...rest }) => {
    assert.ok(found, name);
    return rest;
  };
}

/** A tensor has another shape. */
function cut(name: string): (tensors: Tensors) => Tensors {
  return (tensors) => {
    assert.ok(tensors[name], name);
    return { ...tensors, [name]: tensor("float32", [3], new Float32Array(3)) };
  };
}

for (const [file, change, code, told] of FAULTS) {
  Deno.test(`refused before anything runs, from only the headers of ${file}: ${code}`, () =>
    withCopy(goldenPath("checkpoints/tiny-alpha-512"), async (model) => {
      await editTensors(join(model, file), change);
      const events: RunEvent[] = [];
      const request = { model, prompts: ["cat"], steps: 2, height: 64, width: 64, resolutionBinning: false };
      await assert.rejects(
        runGraph(textToImage(request), {
          ...localRun({ threads: 1 }),
          onEvent: (event) => events.push(event),
        }),
        (error: PixstageError) => {
          assert.equal(error.code, code);
          assert.match(error.message, told);
          return true;
        },
      );
      assert.deepEqual(events.map(({ type }) => type), ["failed"]);
    }));
}
