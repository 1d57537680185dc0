import assert from "node:assert/strict";
import { parseLenientJson } from "../../models/checkpoint/lenient_json.ts";
import { AutoencoderConfig } from "../../models/vae/autoencoder_config.ts";
import { PixArtTransformerConfig } from "../../models/pixart/transformer_config.ts";
import { T5EncoderConfig } from "../../models/t5/encoder_config.ts";
import { openTiny, TINY_CHECKPOINTS } from "./tiny_checkpoints.ts";

Deno.test("PixArtTransformerConfig follows sample_size where old files leave the rest out", () => {
  const given = (sample_size: number) => {
    const { use_additional_conditions, interpolation_scale } = PixArtTransformerConfig.parse({ sample_size });
    return [use_additional_conditions, interpolation_scale];
  };
  assert.deepEqual([32, 64, 128, 256].map(given), [[false, 1], [false, 1], [true, 2], [false, 4]]);
});

Deno.test("PixArtTransformerConfig takes in_channels for out_channels that are null", () => {
  assert.equal(PixArtTransformerConfig.parse({ out_channels: null }).out_channels, 4);
  assert.equal(PixArtTransformerConfig.parse({}).out_channels, 8);
});

Deno.test("the tiny checkpoints' configurations are understood", async () => {
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

Deno.test("configurations that are not computed are refused by key and value", () => {
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
      "1",
    ],
  ] as const;
  for (const [schema, config, key, value] of refused) {
    const { success, error } = schema.safeParse(config);
    assert(!success, key);
    const [issue] = error.issues;
    assert.equal(issue?.path.join("."), key);
    assert(
      issue.message.endsWith(`: current ${key.startsWith("num") ? "length" : "value"} is ${value}`),
      issue.message,
    );
  }
});

Deno.test("configurations that are not computed are refused in a sentence", () => {
  const sentences = [
    [
      () => PixArtTransformerConfig.parse({ activation_fn: "geglu", norm_elementwise_affine: true }),
      "Cannot run the transformer with its config.json as " +
      'activation_fn must be one of "gelu-approximate", "gelu": current value is "geglu"; ' +
      "norm_elementwise_affine must be false: current value is true",
    ],
    [
      () => PixArtTransformerConfig.parse({ out_channels: 6 }),
      "Cannot run the transformer with its config.json as " +
      "out_channels must be in_channels or twice that, 4 or 8: current value is 6",
    ],
    [
      () => T5EncoderConfig.parse({ feed_forward_proj: "gated-mish" }),
      "Cannot run the text encoder with its config.json as feed_forward_proj must be one of " +
      '"relu", "gated-relu", "gelu", "gated-gelu", "gelu_new", "gated-gelu_new", "silu", "gated-silu": ' +
      'current value is "gated-mish"',
    ],
    [
      () => AutoencoderConfig.parse({ _class_name: "AutoencoderKL", act_fn: "relu" }),
      'Cannot run the autoencoder with its config.json as act_fn must be "silu": current value is "relu"',
    ],
    [
      () => T5EncoderConfig.parse({ num_layers: "6" }),
      "Cannot run the text encoder with its config.json as " +
      "num_layers: Invalid input: expected number, received string",
    ],
  ] as const;
  for (const [parse, message] of sentences) {
    assert.throws(parse, { name: "UnsupportedArchitectureError", message });
  }
});

Deno.test("configurations may hold what only lenient JSON can", () => {
  const config = parseLenientJson('{"sample_size": 64, "lambda_min_clipped": -Infinity}', "config.json");
  assert.equal(PixArtTransformerConfig.parse(config).sample_size, 64);
});
