import assert from "node:assert/strict";
import { tensor } from "../../../artifacts/tensor.ts";
import type { Tensor } from "../../../artifacts/tensor.ts";
import { compareTensors } from "../../../artifacts/compare_tensors.ts";
import { float16Product } from "../../../models/onnx/transposed_product.ts";
import { GraphBuilder } from "../../../models/onnx/graph_builder.ts";
import { createGenerator } from "../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";

Deno.test("a product in parts equals one product, also if the inputs do not divide evenly", async () => {
  const [rows, outputs] = [3, 5];
  const generator = createGenerator("torch-cpu", 0);
  for (const [inputs, parts] of [[576, 1], [577, 2], [1152, 2], [1300, 3], [4608, 8]] as const) {
    const g = new GraphBuilder();
    const x = g.input("x", "float32", [rows, inputs]);
    const matrix = g.input("matrix", "float32", [inputs, outputs]);
    g.output("whole", g.matMul(x, matrix), [rows, outputs]);
    g.output("parts", float16Product(g, x, matrix, inputs), [rows, outputs]);
    const graph = g.build("product");
    await using session = await new OnnxRuntimeNode().open(graph);
    const result = await session.run({
      x: tensor("float32", [rows, inputs], generator.randn(rows * inputs)),
      matrix: tensor("float32", [inputs, outputs], generator.randn(inputs * outputs)),
    });
    const { relativeError } = compareTensors(
      (result["whole"] as Tensor<"float32">).data,
      (result["parts"] as Tensor<"float32">).data,
    );
    assert(relativeError < 1e-6, `${inputs} inputs in ${parts} parts: off by ${relativeError}`);
    const products = new TextDecoder("latin1").decode(graph.bytes).match(/MatMul\.\d+/g);
    assert.equal(new Set(products).size, 1 + parts);
  }
});
