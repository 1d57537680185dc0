import assert from "node:assert/strict";
import { MEMORY_GROUPS, MemoryGroup } from "../graph/executors/memory_group.ts";
import { needing } from "../needing.ts";
import { commandLine, inFolder } from "./run_cli.ts";

/** Runs a command whose process is in a control group from its start. */
async function runIn(group: MemoryGroup, folder: string, args: readonly string[]): Promise<[number, string]> {
  const [program, ...rest] = commandLine(...args);
  const process = new Deno.Command("sh", {
    args: ["-c", 'read -r go; exec "$0" "$@"', program, ...rest],
    cwd: folder,
    env: { PIXSTAGE_STORE: `${folder}/store` },
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  group.add(process.pid);
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode("go\n"));
  await writer.close();
  const { code, stderr } = await process.output();
  return [code, new TextDecoder().decode(stderr)];
}

Deno.test(needing(MEMORY_GROUPS, {
  name: "--max-memory below 0 counts from what the control group leaves, not from the machine's memory",
  fn: () =>
    inFolder(async (folder) => {
      using group = new MemoryGroup(1e9);
      const plan = (limit: string) => runIn(group, folder, ["plan", "a cat", `--max-memory=${limit}`]);
      assert.deepEqual(await plan("-100MB"), [0, ""]);
      const [status, message] = await plan("-950MB");
      assert.notEqual(status, 0);
      assert.match(message, /^error: Cannot stay within /);
    }),
}));
