/**
 * Decodes a picture in one piece, with at most the given number of bytes of data beyond those that the process
 * already has, and prints the outcome.
 */
import { tensor } from "../../../../artifacts/tensor.ts";
import { AutoencoderConfig } from "../../../../models/vae/autoencoder_config.ts";
import { openComponent } from "../../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../../models/checkpoint/disk_source.ts";
import { TiledVaeDecoder } from "../../../../models/vae/tiling/tiled_vae_decoder.ts";
import { createGenerator } from "../../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../../runtime/onnxruntime_node.ts";

const [checkpoint, picture, side, extraBytes] = Deno.args;
const size = Number(side) / 8;
const vae = await openComponent(await openDiskSource(checkpoint!), { component: "vae" });
const fallbacks: string[] = [];
await using decoder = new TiledVaeDecoder(
  new OnnxRuntimeNode({ threads: 2 }),
  AutoencoderConfig.parse(vae.config),
  await vae.weights(),
  { tiling: "none", onFallback: ({ message }) => fallbacks.push(message) },
);
const noise = createGenerator("torch-cpu", 1).randn(4 * size * size);
if (extraBytes !== undefined) {
  const status = Deno.readTextFileSync("/proc/self/status");
  const limit = 1024 * Number(/^VmData:\s*(\d+) kB$/m.exec(status)?.[1]) + Number(extraBytes);
  const args = ["--pid", String(Deno.pid), `--data=${limit}`];
  const { success, stderr } = await new Deno.Command("prlimit", { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
let error: string | undefined;
try {
  const { data } = await decoder.decode(tensor("float32", [1, 4, size, size], noise));
  await Deno.writeFile(picture!, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
} catch (thrown) {
  error = String(thrown);
}
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify({ fallbacks, error })));
