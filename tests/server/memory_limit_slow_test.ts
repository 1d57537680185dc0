import assert from "node:assert/strict";
import { join } from "node:path";
import { inFolder } from "../cli/run_cli.ts";
import { ServerProcess } from "./server_process.ts";

const REQUEST = { model: "tiny", prompts: ["a cat"], width: 64, height: 64, steps: 2 };

/** Calls a test with a server that has the given memory limit. */
function withLimit(size: string, test: (server: ServerProcess) => Promise<void>): Promise<void> {
  return inFolder(async (folder) => {
    const args = [`--max-memory=${size}`];
    await using server = await new ServerProcess({ store: join(folder, "store"), args }).listens();
    await test(server);
  });
}

for (const size of ["0", "-1MB", "1"]) {
  Deno.test(`a server reads --max-memory ${size} as commands do, and runs a job`, () =>
    withLimit(size, async (server) => {
      const { id } = await server.order({ request: REQUEST });
      assert.equal((await server.ended(id)).status, "completed", server.log);
    }));
}

Deno.test("a server refuses a job that cannot fit into its --max-memory", () =>
  withLimit("10MB", async (server) => {
    await assert.rejects(server.order({ request: REQUEST }), /"code":"memory_budget"/);
    assert.match(server.log, /Cannot stay within 10 MB because encode needs/);
  }));
