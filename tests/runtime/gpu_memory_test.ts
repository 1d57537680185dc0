import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GpuMemory } from "../../runtime/gpu_memory.ts";
import { withFolder } from "../models/checkpoint/copies.ts";
import { needing, UNIX } from "../needing.ts";

const MEBIBYTE = 2 ** 20;

/**
 * A stand-in for nvidia-smi with two GPUs. The second always uses 10 MiB. `gpu` prints the use of the first,
 * and `processes` that of processes.
 */
function script({ gpus, processes = "" }: { gpus: string; processes?: string }): string {
  return `#!/bin/sh
case "$1" in
  --query-gpu=memory.used,memory.free) printf '100, 900\\n10, 500\\n'; exit ;;
  --query-compute-apps=*) ${processes} ;;
  *) for used in ${gpus}; do
      printf '12:00:%s, 0, %s\\n12:00:%s, 1, 10\\n' "$used" "$used" "$used"
    done ;;
esac
while printf '\\n'; do sleep 0.1; done
`;
}

async function withTool(text: string, use: (tool: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const tool = join(folder, "nvidia-smi");
    await writeFile(tool, text);
    await chmod(tool, 0o755);
    await use(tool);
  });
}

/** Waits until the memory is known. Returns it in MiB. */
async function peakOf(memory: GpuMemory): Promise<number> {
  for (let tries = 0; memory.peak === undefined; tries++) {
    assert(tries < 200, "no sample arrived");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  return memory.peak! / MEBIBYTE;
}

// The sampler ends with the process that started it, not with the test.
const ending = { sanitizeOps: false, sanitizeResources: false };

Deno.test(needing(UNIX, {
  ...ending,
  name: "GpuMemory samples the driver's figure for this process",
  fn: () =>
    withTool(
      script({
        gpus: "5000",
        processes: `printf '1, 1, 5000\\n1, ${Deno.pid}, 300\\n1, ${Deno.pid}, 20\\n2, ${Deno.pid}, 10\\n'`,
      }),
      async (tool) => {
        const memory = new GpuMemory({ tool });
        assert.equal(await peakOf(memory), 320);
        memory.reset();
        assert.equal(memory.peak, 10 * MEBIBYTE, "what is held now");
      },
    ),
}));

Deno.test(needing(UNIX, {
  ...ending,
  name: "GpuMemory samples the growth of all GPUs if the driver has no figures per process",
  fn: () =>
    withTool(
      script({ gpus: "100 900 400", processes: "printf '1, 1, [N/A]\\n'" }),
      async (tool) => assert.equal(await peakOf(new GpuMemory({ tool })), 800),
    ),
}));

Deno.test(needing(UNIX, {
  ...ending,
  name: "GpuMemory returns nine tenths of the emptiest GPU's free memory, or of a given GPU's",
  fn: async () => {
    await withTool(script({ gpus: "0" }), (tool) => {
      assert.equal(new GpuMemory({ tool }).free, 0.9 * 900 * MEBIBYTE);
      return Promise.resolve();
    });
    const one =
      `#!/bin/sh\n[ "$1" = --id=1 ] && [ "$2" = --query-gpu=memory.used,memory.free ] && echo '10, 500'\n`;
    await withTool(one, (tool) => {
      assert.equal(new GpuMemory({ tool, index: 1 }).free, 0.9 * 500 * MEBIBYTE);
      return Promise.resolve();
    });
  },
}));

Deno.test("GpuMemory returns no figures without nvidia-smi", () => {
  const memory = new GpuMemory({ tool: "/nowhere/nvidia-smi" });
  memory.reset();
  assert.equal(memory.peak, undefined);
});
