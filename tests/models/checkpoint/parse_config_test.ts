import assert from "node:assert/strict";
import { join } from "node:path";
import { exitStatus } from "../../../errors/foreign_error.ts";
import { AutoencoderConfig } from "../../../models/vae/autoencoder_config.ts";
import { openComponent } from "../../../models/checkpoint/component.ts";
import { UnsupportedArchitectureError } from "../../../models/checkpoint/checkpoint_errors.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import type { CheckpointPart } from "../../../models/checkpoint/model_index.ts";
import { parseConfig } from "../../../models/checkpoint/parse_config.ts";
import { PixArtTransformerConfig } from "../../../models/pixart/transformer_config.ts";
import { T5EncoderConfig } from "../../../models/t5/encoder_config.ts";
import { TINY } from "../../cli/run_cli.ts";
import { withCopy } from "./copies.ts";

const SCHEMAS = {
  transformer: PixArtTransformerConfig,
  text_encoder: T5EncoderConfig,
  vae: AutoencoderConfig,
} as const;

const REFUSED: readonly [component: CheckpointPart, change: Record<string, unknown>, message: RegExp][] = [
  [
    "transformer",
    { activation_fn: "geglu" },
    /^Cannot run \S+\/transformer\/config\.json because activation_fn must be one of gelu-approximate, gelu: current value is "geglu"$/,
  ],
  [
    "transformer",
    { out_channels: 6 },
    /out_channels must be in_channels or twice that, 4 or 8: current value is 6$/,
  ],
  ["transformer", { norm_elementwise_affine: true }, /norm_elementwise_affine must be false: .* is true$/],
  ["transformer", { num_layers: "many" }, /num_layers must be of type (?:int|number): .* is "many"$/],
  [
    "text_encoder",
    // An explicit dense_act_fn would take precedence.
    { feed_forward_proj: "gated-mish", dense_act_fn: undefined },
    /feed_forward_proj must be one of relu, gated-relu, gelu, .*: .* is "gated-mish"$/,
  ],
  ["vae", { act_fn: "relu" }, /vae\/config\.json because act_fn must be silu: current value is "relu"$/],
];

for (const [component, change, message] of REFUSED) {
  Deno.test(`a configuration is rejected in one sentence: ${component} ${JSON.stringify(change)}`, () =>
    withCopy(TINY, async (copy) => {
      const path = join(copy, component, "config.json");
      const config = JSON.parse(await Deno.readTextFile(path));
      await Deno.writeTextFile(path, JSON.stringify({ ...config, ...change }));
      const opened = await openComponent(await openDiskSource(copy), { component });
      assert.throws(
        () => parseConfig<typeof SCHEMAS[CheckpointPart]>(SCHEMAS[component], opened),
        (error) => {
          assert.ok(
            error instanceof UnsupportedArchitectureError && error.code === "unsupported_architecture",
          );
          assert.match(error.message, message);
          assert.equal(exitStatus(error), 2);
          return true;
        },
      );
    }));
}
