import assert from "node:assert/strict";
import { pid } from "node:process";
import { GpuMemory } from "../../runtime/gpu_memory.ts";

/** A driver's tool that answers each question with the next of its answers. */
function tool(processes: string[], used: string[]) {
  return ([query]: readonly string[]): string =>
    (query!.includes("compute-apps") ? processes : used).shift() ?? "";
}

Deno.test("GpuMemory tells what the driver says of this process", () => {
  const memory = new GpuMemory(tool([`1, 5000\n${pid}, 300\n${pid}, 20\n`], ["5000\n"]));
  assert.equal(memory.peak, undefined);
  memory.observe();
  assert.equal(memory.peak, 320 * 2 ** 20);
});

Deno.test("GpuMemory tells what all GPUs hold more where the driver does not know processes", () => {
  const memory = new GpuMemory(tool(["1, [N/A]\n"], ["100\n10\n", "400\n10\n"]));
  memory.observe();
  assert.equal(memory.peak, 300 * 2 ** 20);
});

Deno.test("GpuMemory knows nothing, and asks no more, where there is no such tool", () => {
  let questions = 0;
  const memory = new GpuMemory(() => {
    questions++;
    throw new Deno.errors.NotFound("nvidia-smi");
  });
  memory.observe();
  memory.observe();
  assert.deepEqual([memory.peak, questions], [undefined, 1]);
});
