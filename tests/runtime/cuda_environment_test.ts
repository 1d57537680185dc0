import assert from "node:assert/strict";
import { z } from "zod";

const numbersSchema = z.object({
  cuda: z.array(z.number()),
  tool: z.array(z.string()),
  visible: z.array(z.string()),
  environment: z.record(z.string(), z.string()),
});

/**
 * Prepares a process for a GPU, with all GPUs visible or those of an environment. The order is fixed once CUDA
 * starts, so each needs a process of its own.
 */
async function prepared(index: number, env?: Record<string, string>) {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      new URL("cuda_order_main.ts", import.meta.url).pathname,
      String(index),
      ...env ? [] : ["all"],
    ],
    ...env ? { env } : {},
  }).output();
  return numbersSchema.parse(JSON.parse(new TextDecoder().decode(stdout)));
}

Deno.test("CUDA starts with the GPU of the process, while the driver's tool keeps its own numbers", async () => {
  const second = await prepared(1);
  assert.deepEqual(second.visible, ["1", "0", "2"]);
  assert.deepEqual(second.cuda, [1, 0]);
  assert.deepEqual(second.tool, ["0", "1"]);
  const first = await prepared(0);
  assert.deepEqual(first.visible, ["0", "1", "2"]);
});

Deno.test("CUDA starts with one of the GPUs that the user makes visible", async () => {
  const { visible, cuda, tool } = await prepared(1, { CUDA_VISIBLE_DEVICES: "5, GPU-7" });
  assert.deepEqual(visible, ["GPU-7", "5"]);
  assert.deepEqual(cuda, [1, 0]);
  assert.deepEqual(tool, ["5", "GPU-7"]);
});

Deno.test("GPUs that the user hides stay hidden", async () => {
  for (const [index, hidden] of [[0, ""], [1, "5"]] as const) {
    const { environment, cuda } = await prepared(index, { CUDA_VISIBLE_DEVICES: hidden });
    assert.equal(environment["CUDA_VISIBLE_DEVICES"], hidden);
    assert.deepEqual(cuda, [0, 1]);
  }
});

Deno.test("a child process counts GPUs as its parent did before it changed their order", async () => {
  const { environment } = await prepared(1, { CUDA_VISIBLE_DEVICES: "5,7" });
  const child = await prepared(0, environment);
  assert.deepEqual(child.visible, ["5", "7"]);
  assert.deepEqual(child.tool, ["5", "7"]);
});
