/**
 * Prints, as JSON, whether this processor's products of bytes overflow, and the relative errors of predictions
 * in int8, of a picture that is large enough for integer attention. For older_processor_slow_test.ts.
 *
 * @module
 */

import { compareTensors } from "../../../artifacts/compare_tensors.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import type { Weights } from "../../../models/checkpoint/weights.ts";
import { byteProductProbe } from "../../../models/onnx/byte_product_probe.ts";
import { PixArtTransformerConfig } from "../../../models/pixart/transformer_config.ts";
import { PixArtTransformer } from "../../../models/pixart/transformer_runner.ts";
import { openQuantized } from "../../../models/quantization/open_quantized.ts";
import { createGenerator } from "../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { openTiny } from "../tiny_checkpoints.ts";

const [HEIGHT, WIDTH, TOKENS] = [48, 64, 12];
const runtime = new OnnxRuntimeNode({ threads: 1 });
const component = await openTiny("tiny-alpha-512", "transformer");
const config = PixArtTransformerConfig.parse(component.config);
const generator = createGenerator("torch-cpu", 0);
const random = (...shape: number[]) =>
  tensor("float32", shape, generator.randn(shape.reduce((product, size) => product * size, 1)));
const latents = random(1, config.in_channels, HEIGHT, WIDTH);
const embeddings = random(TOKENS, config.text_channels);

async function predict(weights: Weights): Promise<Float32Array[]> {
  const perturbable = ["transformer_blocks.1.attn1"];
  await using transformer = PixArtTransformer.open(runtime, config, weights, { perturbable });
  const text = await transformer.prepareText(embeddings);
  const outputs: Float32Array[] = [];
  for (const perturbed of [false, true]) {
    const [output] = await transformer.predictEach([{ latents, timestep: 500, text, perturbed }]);
    outputs.push(output!.data);
  }
  return outputs;
}

const folder = await Deno.makeTempDir();
try {
  const exact = await predict(await component.weights());
  const integer = await predict(await openQuantized(component, "int8", folder));
  const errors = exact.map((values, index) => compareTensors(values, integer[index]!).relativeError);
  await using probe = await runtime.open(byteProductProbe());
  const overflows = (await probe.run({}))["overflows"]!.data[0] === 1;
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify({ overflows, errors })));
} finally {
  await Deno.remove(folder, { recursive: true });
}
