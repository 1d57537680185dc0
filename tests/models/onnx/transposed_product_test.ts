import assert from "node:assert/strict";
import { compareTensors } from "../../../artifacts/compare_tensors.ts";
import type { Tensor } from "../../../artifacts/tensor.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import { openComponent } from "../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import { GraphBuilder } from "../../../models/onnx/graph_builder.ts";
import { createGenerator } from "../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { writeTransformer } from "../../../bench/random_transformer.ts";

Deno.test("a product with a weight in float16 computes in float32, also if the session prepares weights", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pixstage-test-" });
  try {
    await writeTransformer(folder, {
      _class_name: "PixArtTransformer2DModel",
      num_layers: 1,
      caption_channels: 32,
    }, "float32");
    const { weights } = await openComponent(await openDiskSource(folder), { component: "transformer" });
    const located = (await weights()).locate("transformer_blocks.0.ff.net.0.proj.weight", [4608, 1152]);
    const build = (stored: "float32" | "float16") => {
      const g = new GraphBuilder(undefined, { transposesWeights: true });
      const x = g.input("x", "float32", ["rows", 1152]);
      g.output("y", g.linear(x, located, undefined, "float32", stored), ["rows", 4608]);
      return g.build(`product with ${stored}`, { prepareWeights: true });
    };
    const x = tensor("float32", [3, 1152], createGenerator("torch-cpu", 0).randn(3 * 1152));
    const [expected, actual] = await Promise.all((["float32", "float16"] as const).map(async (stored) => {
      await using session = await new OnnxRuntimeNode().open(build(stored));
      return (await session.run({ x }))["y"] as Tensor<"float32">;
    }));
    const { relativeError } = compareTensors(expected!.data, actual!.data);
    // Rounding of the weights to 11 bits is all that differs.
    assert(relativeError > 1e-5 && relativeError < 3e-4, `off by ${relativeError}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
