import assert from "node:assert/strict";
import { explainZodError } from "../../errors/explain_zod_error.ts";
import { parseLenientJson } from "../../models/checkpoint/lenient_json.ts";
import { AutoencoderConfig } from "../../models/vae/autoencoder_config.ts";
import { PixArtTransformerConfig } from "../../models/pixart/transformer_config.ts";
import { T5EncoderConfig } from "../../models/t5/encoder_config.ts";
import { openTiny, TINY_CHECKPOINTS } from "./tiny_checkpoints.ts";

Deno.test("PixArtTransformerConfig derives missing fields of old files from sample_size", () => {
  const given = (sample_size: number) => {
    const { use_additional_conditions, interpolation_scale } = PixArtTransformerConfig.parse({ sample_size });
    return [use_additional_conditions, interpolation_scale];
  };
  assert.deepEqual([32, 64, 128, 256].map(given), [[false, 1], [false, 1], [true, 2], [false, 4]]);
});

Deno.test("PixArtTransformerConfig replaces null out_channels by in_channels", () => {
  assert.equal(PixArtTransformerConfig.parse({ out_channels: null }).out_channels, 4);
  assert.equal(PixArtTransformerConfig.parse({}).out_channels, 8);
});

Deno.test("the tiny checkpoints' configurations are parsed", async () => {
  for (const checkpoint of TINY_CHECKPOINTS) {
    const [transformer, text, vae] = await Promise.all(
      (["transformer", "text_encoder", "vae"] as const).map((component) => openTiny(checkpoint, component)),
    );
    assert(PixArtTransformerConfig.parse(transformer!.config).num_layers <= 3);
    assert.equal(T5EncoderConfig.parse(text!.config).activation, "gelu_new");
    assert.equal(AutoencoderConfig.parse(vae!.config)._class_name, "AutoencoderKL");
  }
  const taesd = await openTiny("tiny-taesd", "vae");
  assert.equal(AutoencoderConfig.parse(taesd.config)._class_name, "AutoencoderTiny");
});

Deno.test("unsupported configurations are rejected by key and value", () => {
  const refused = [
    [PixArtTransformerConfig, { norm_type: "layer_norm" }, "norm_type", '"layer_norm"'],
    [PixArtTransformerConfig, { activation_fn: "geglu" }, "activation_fn", '"geglu"'],
    [PixArtTransformerConfig, { norm_elementwise_affine: true }, "norm_elementwise_affine", "true"],
    [PixArtTransformerConfig, { attention_type: "gated" }, "attention_type", '"gated"'],
    [PixArtTransformerConfig, { out_channels: 6 }, "out_channels", "6"],
    [T5EncoderConfig, { feed_forward_proj: "gated-mish" }, "feed_forward_proj", '"gated-mish"'],
    [T5EncoderConfig, { dense_act_fn: "mish" }, "dense_act_fn", '"mish"'],
    [T5EncoderConfig, { is_decoder: true }, "is_decoder", "true"],
    [AutoencoderConfig, { _class_name: "VQModel" }, "_class_name", '"VQModel"'],
    [AutoencoderConfig, { _class_name: "AutoencoderTiny", act_fn: "gelu" }, "act_fn", '"gelu"'],
    [
      AutoencoderConfig,
      { _class_name: "AutoencoderKL", up_block_types: ["AttnUpDecoderBlock2D"] },
      "up_block_types.0",
      '"AttnUpDecoderBlock2D"',
    ],
    [
      AutoencoderConfig,
      { _class_name: "AutoencoderTiny", num_decoder_blocks: [1] },
      "num_decoder_blocks",
      "[1]",
    ],
  ] as const;
  for (const [schema, config, key, value] of refused) {
    const { success, error } = schema.safeParse(config);
    assert(!success, key);
    const { field, clause } = explainZodError(error, config);
    assert.equal(field, key);
    assert(clause.includes("must be") && clause.endsWith(`: current value is ${value}`), clause);
  }
});

Deno.test("configurations can contain values that only lenient JSON allows", () => {
  const config = parseLenientJson('{"sample_size": 64, "lambda_min_clipped": -Infinity}', "config.json");
  assert.equal(PixArtTransformerConfig.parse(config).sample_size, 64);
});
