import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { serving } from "./serving.ts";

const PLUGIN = new URL("../graph/executors/toy_plugin.ts", import.meta.url).href;

Deno.test("a job that always kills its process fails after three attempts, and the server remains responsive", async () => {
  await using server = await serving({ plugins: [PLUGIN] });
  const order = async (parameters: object): Promise<string> => {
    const graph = { pixstage: 1, nodes: { count: { stage: "count", parameters } } };
    const reply = await server.post("/v1/jobs", { graph });
    const { id, error } = await reply.json();
    assert.equal(reply.status, 202, error?.message);
    return id;
  };
  const ended = async (id: string) => {
    for (;;) {
      const job = await (await server.ask(`/v1/jobs/${id}`)).json();
      if (job.status !== "queued" && job.status !== "running") return job;
      assert.equal((await server.ask("/healthz")).status, 200);
      await delay(20);
    }
  };
  const deadly = await order({ steps: 3, dieAfter: 2 });
  const harmless = await order({ steps: 3 });
  const { status, attempts, error } = await ended(deadly);
  assert.deepEqual([status, attempts, error.code], ["failed", 3, "host_died"]);
  assert.equal(
    error.message,
    'The process that ran stage "count" died 3 times, the last time from SIGKILL, so the server will not run it again',
  );
  const events = await (await server.ask(`/v1/jobs/${deadly}/events`)).text();
  assert.deepEqual(events.match(/attempt \d of 3/g), ["attempt 1 of 3", "attempt 2 of 3"]);
  assert.equal((await ended(harmless)).status, "completed");
});
