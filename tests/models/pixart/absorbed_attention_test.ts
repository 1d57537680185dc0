import assert from "node:assert/strict";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import { Layers } from "../../../models/layers.ts";
import { GraphBuilder } from "../../../models/onnx/graph_builder.ts";
import { absorbedAttention } from "../../../models/pixart/absorbed_attention.ts";
import { PixArtTransformerConfig } from "../../../models/pixart/transformer_config.ts";
import { createGenerator } from "../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { assertNear, openTiny, TINY_CHECKPOINTS } from "../tiny_checkpoints.ts";

const runtime = new OnnxRuntimeNode();
const ROWS = 12;

Deno.test("attention to a text of one token is computed without scores, with the same result up to rounding", async () => {
  for (const checkpoint of TINY_CHECKPOINTS) {
    const component = await openTiny(checkpoint, "transformer", "");
    const config = PixArtTransformerConfig.parse(component.config);
    const weights = await component.weights();
    const heads = config.num_attention_heads;
    const width = heads * config.attention_head_dim;
    const random = (seed: number, rows: number) =>
      tensor("float32", [rows, width], createGenerator("torch-cpu", seed).randn(rows * width));
    const attend = async (summing: boolean): Promise<Tensor<"float32">> => {
      const g = new GraphBuilder();
      const rows = g.input("rows", "float32", [ROWS, width]);
      const [key, value] = ["key", "value"].map((name) => g.input(name, "float32", ["tokens", width]));
      const hasManyRows = summing ? g.constant(tensor("bool", [1], Uint8Array.of(1))) : undefined;
      const attended = absorbedAttention(new Layers(g, weights), rows, {
        module: "transformer_blocks.0.attn2",
        heads,
        width,
        bias: config.attention_bias,
        key: key!,
        value: value!,
        hasManyRows,
      });
      g.output("attended", attended, ["rows", width]);
      await using session = await runtime.open(g.build("attention"));
      const inputs = { rows: random(1, ROWS), key: random(2, 1), value: random(3, 1) };
      return (await session.run(inputs)).attended as Tensor<"float32">;
    };
    const [scored, summed] = [await attend(false), await attend(true)];
    assert.deepEqual([scored.shape, summed.shape], [[ROWS, width], [1, width]]);
    for (let row = 0; row < ROWS; row++) {
      assertNear(
        summed.data,
        scored.data.subarray(row * width, (row + 1) * width),
        { relL2: 1e-6 },
        checkpoint,
      );
    }
  }
});
