/** Quantizes until it is killed, and reports each finished tensor. */
import { openComponent } from "../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import { openQuantized } from "../../../models/quantization/open_quantized.ts";

const [checkpoint, folder] = Deno.args;
const component = await openComponent(await openDiskSource(checkpoint!), { component: "text_encoder" });
await openQuantized(component, "int8", folder!, {
  onProgress: ({ done }) => {
    Deno.stdout.writeSync(new TextEncoder().encode(`${done}\n`));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  },
});
