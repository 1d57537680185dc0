/**
 * A stage that reports to the file of `PIXSTAGE_PROBE` what the server that loaded it may do, and to a file
 * next to it what its own process may do.
 *
 * @module
 */

import { readFile, writeFile } from "node:fs/promises";
import { z } from "zod";
import { defineStage } from "../../stages/stage.ts";
import { numberArtifact } from "../graph/executors/toy_plugin.ts";

/**
 * A shell, another Deno, an unlisted variable, a signal, and a connection. The report has 1 for what works.
 */
const ATTEMPTS: readonly (() => unknown)[] = [
  () => new Deno.Command("sh", { args: ["-c", "true"] }).outputSync(),
  () =>
    new Deno.Command(Deno.execPath(), { args: ["--version"], clearEnv: true, stdout: "null" }).outputSync(),
  () => Deno.env.get("UNLISTED_SECRET")!.length,
  () => Deno.kill(Deno.ppid, "SIGCONT"),
  () =>
    Deno.connect({ hostname: "127.0.0.1", port: 1 }).catch((error) => {
      if (error instanceof Deno.errors.NotCapable) throw error;
    }),
];

async function tried(): Promise<number[]> {
  const results = ATTEMPTS.map(async (attempt) => {
    try {
      await attempt();
      return 1;
    } catch {
      return 0;
    }
  });
  return await Promise.all(results);
}

const report = Deno.env.get("PIXSTAGE_PROBE")!;
// The server loads the plugin before the processes that run its stages do.
const isFirst = await readFile(report, "utf8").then(() => false, () => true);
if (isFirst) await writeFile(report, JSON.stringify(await tried()));

export default defineStage({
  name: "probe",
  version: "1",
  description: "Tries what its process may do.",
  inputs: {},
  outputs: { done: { kind: "number", description: "Nothing." } },
  parameters: z.strictObject({}),
  async run() {
    await writeFile(`${report}.stage`, JSON.stringify(await tried()));
    return { done: numberArtifact(0) };
  },
});
