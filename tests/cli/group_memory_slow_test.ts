import assert from "node:assert/strict";
import { join } from "node:path";
import { MEMORY_GROUPS, MemoryGroup } from "../graph/executors/memory_group.ts";
import { needing } from "../needing.ts";
import { commandLine, inFolder } from "./run_cli.ts";

Deno.test(needing(MEMORY_GROUPS, {
  name: "--max-memory below 0 counts from what the control group leaves, not from the machine's memory",
  fn: () =>
    inFolder(async (folder) => {
      using group = new MemoryGroup(1e9);
      const plan = async (limit: string): Promise<[number, string]> => {
        const command = commandLine("plan", "a cat", `--max-memory=${limit}`);
        const process = await group.start(command, {
          cwd: folder,
          env: { PIXSTAGE_STORE: join(folder, "store") },
        });
        const { code, stderr } = await process.output();
        return [code, new TextDecoder().decode(stderr)];
      };
      assert.deepEqual(await plan("-100MB"), [0, ""]);
      const [status, message] = await plan("-950MB");
      assert.notEqual(status, 0);
      assert.match(message, /^error: Cannot stay within /);
    }),
}));
