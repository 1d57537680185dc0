import assert from "node:assert/strict";
import { z } from "zod";
import { shardFiles } from "../../artifacts/store/folder_layout.ts";
import { inFolder } from "../cli/run_cli.ts";
import { type Serving, serving, sseEvents } from "./serving.ts";

const LONG = { model: "tiny", width: 512, height: 512, steps: 150, guidanceScale: 1, imagesPerPrompt: 4 };

const eventSchema = z.object({
  type: z.string(),
  stage: z.string().optional(),
  step: z.number().optional(),
  id: z.string().optional(),
});

async function order(server: Serving, prompt: string): Promise<string> {
  const request = { ...LONG, prompts: [prompt] };
  const reply = await server.post("/v1/jobs", { request, previews: false });
  return z.object({ id: z.string() }).parse(await reply.json()).id;
}

/** Follows a job until an event. */
async function until(
  server: Serving,
  id: string,
  isLast: (event: z.infer<typeof eventSchema>) => boolean,
): Promise<z.infer<typeof eventSchema>[]> {
  const events: z.infer<typeof eventSchema>[] = [];
  for await (const { data } of sseEvents(await server.ask(`/v1/jobs/${id}/events`))) {
    const event = eventSchema.parse(JSON.parse(data));
    events.push(event);
    if (isLast(event)) break;
  }
  return events;
}

/** Sets the time of the last use of all files in a store to an hour ago. */
async function age(store: string): Promise<void> {
  const then = new Date(Date.now() - 3600_000);
  for (const shard of ["artifacts", "results", "makers"] as const) {
    for await (const { path } of shardFiles(store, shard)) await Deno.utime(path, then, then);
  }
}

Deno.test("the snapshot from which a waiting job resumes remains in the store, however old it is", async () => {
  await inFolder(async (store) => {
    let first: string, waiting: string, state: string;
    {
      await using server = await serving({ store, concurrency: 2 });
      [first, waiting] = [await order(server, "first"), await order(server, "waiting")];
      const [, seen] = await Promise.all(
        [first, waiting].map((id) => until(server, id, ({ type }) => type === "checkpoint")),
      );
      assert.equal(seen?.at(-1)?.type, "checkpoint");
      state = seen!.at(-1)!.id!;
    }
    await age(store);
    const told: string[] = [];
    await using server = await serving({
      store,
      storeMaxAgeMs: 30 * 60_000,
      log: (event) => told.push(event),
    });
    for (let tries = 0; !told.includes("store_collected"); tries++) {
      assert(tries < 100, "the store was not collected");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const job = await (await server.ask(`/v1/jobs/${waiting}`)).json();
    assert.equal(job.status, "queued");
    assert.equal((await server.ask(`/v1/artifacts/${state}`, { method: "HEAD" })).status, 200);
    await server.post(`/v1/jobs/${first}/cancel`, {}).then((reply) => reply.body?.cancel());
    const events = await until(server, waiting, () => false);
    assert.equal(events.at(-1)!.type, "done");
    const steps = events.flatMap(({ type, stage, step }) =>
      type === "step" && stage === "denoise" ? [step!] : []
    );
    // Together, both servers took each step once, except for possible steps after the snapshot.
    const all = LONG.steps * LONG.imagesPerPrompt;
    assert.deepEqual([...new Set(steps)], Array.from({ length: all }, (_, index) => index + 1));
    assert.equal(steps.filter((step) => step === 1).length, 1, `the run began again: ${steps}`);
  });
});
