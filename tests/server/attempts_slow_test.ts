import assert from "node:assert/strict";
import { z } from "zod";
import { inFolder } from "../cli/run_cli.ts";
import { ServerProcess } from "./server_process.ts";
import { type Serving, serving, sseEvents } from "./serving.ts";

const SMALL = { model: "tiny", width: 64, height: 64, steps: 2, guidanceScale: 1 };
const LONG = { ...SMALL, width: 768, height: 768, resolutionBinning: false, steps: 150 };

const jobSchema = z.object({
  id: z.string(),
  status: z.string(),
  attempts: z.int(),
  deadline: z.number().nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});

async function job(url: string, id: string): Promise<z.infer<typeof jobSchema>> {
  return jobSchema.parse(await (await fetch(`${url}/v1/jobs/${id}`)).json());
}

/** Waits until a job runs. */
async function runs(server: ServerProcess, id: string): Promise<void> {
  while ((await job(server.url, id)).status === "queued") {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal((await job(server.url, id)).status, "running");
}

Deno.test("a job during which the server died three times fails with the reason, and the others run", async () => {
  await inFolder(async (store) => {
    let server = await new ServerProcess({ store }).listens();
    try {
      const { id } = await server.order({ request: { ...LONG, prompts: ["first"] } });
      const other = await server.order({ request: { ...SMALL, prompts: ["second"] } });
      // Storing the embeddings is progress. The three deaths after it are at the same point.
      for await (const { event } of sseEvents(await fetch(`${server.url}/v1/jobs/${id}/events`))) {
        if (event === "preview") break;
      }
      assert.equal((await job(server.url, id)).attempts, 0);
      for (let death = 0; death < 4; death++) {
        await server.end("SIGKILL");
        server = await new ServerProcess({ store }).listens();
        if (death === 3) break;
        await runs(server, id);
        assert.equal((await job(server.url, id)).attempts, death + 1);
      }
      const { status, error } = await job(server.url, id);
      assert.equal(status, "failed");
      assert.deepEqual(error, {
        code: "too_many_attempts",
        message: "The server stopped 3 times while it ran this job, so it will not run it again",
      });
      const events: string[] = [];
      for await (const { event } of sseEvents(await fetch(`${server.url}/v1/jobs/${id}/events`))) {
        events.push(event);
      }
      assert.equal(events.at(-1), "failed", "its followers get the last event");
      assert.equal((await server.ended(other.id)).status, "completed");
    } finally {
      await server.end("SIGKILL");
    }
  });
});

Deno.test("an orderly stop counts as no attempt, so a job survives any number of restarts", async () => {
  await inFolder(async (store) => {
    let server = await new ServerProcess({ store }).listens();
    try {
      const { id } = await server.order({ request: { ...LONG, prompts: ["cat"], steps: 60 } });
      for (let restart = 0; restart < 4; restart++) {
        await runs(server, id);
        await server.end("SIGTERM");
        server = await new ServerProcess({ store }).listens();
      }
      assert.equal((await server.ended(id)).status, "completed");
    } finally {
      await server.end("SIGTERM");
    }
  });
});

async function order(server: Serving, body: object): Promise<z.infer<typeof jobSchema>> {
  const reply = await server.post("/v1/jobs", body);
  assert.equal(reply.status, 202);
  return jobSchema.parse(await reply.json());
}

/** Follows a job until its end. */
async function ended(server: Serving, id: string): Promise<z.infer<typeof jobSchema>> {
  const events: string[] = [];
  for await (const { event } of sseEvents(await server.ask(`/v1/jobs/${id}/events`))) events.push(event);
  const over = await job(server.url, id);
  assert.equal(events.at(-1), over.status === "completed" ? "done" : over.status);
  return over;
}

Deno.test("a waiting or running job ends at its deadline, even across a restart of the server", async () => {
  await inFolder(async (store) => {
    let late: string;
    {
      await using server = await serving({ store });
      const running = await order(server, { request: { ...LONG, prompts: ["runs"] }, deadline: 3 });
      const waiting = await order(server, { request: { ...LONG, prompts: ["waits"] }, deadline: 0.5 });
      const relaxed = await order(server, { request: { ...SMALL, prompts: ["last"] }, deadline: 1000 });
      assert.equal(running.deadline, 3);
      for (const [id, seconds] of [[waiting.id, 0.5], [running.id, 3]] as const) {
        const { status, error } = await ended(server, id);
        assert.equal(status, "failed");
        assert.equal(error?.code, "deadline_exceeded");
        assert.match(error.message, new RegExp(`not finish within its deadline of ${seconds} seconds`));
      }
      assert.equal((await ended(server, relaxed.id)).status, "completed", "the slot is free again");
      late = (await order(server, { request: { ...LONG, prompts: ["late"] }, deadline: 1 })).id;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await using server = await serving({ store });
    assert.equal((await job(server.url, late)).error?.code, "deadline_exceeded");

    for (const deadline of [0, -1, "soon"]) {
      const reply = await server.post("/v1/jobs", { request: { ...SMALL, prompts: ["x"] }, deadline });
      assert.equal(reply.status, 400);
      assert.equal((await reply.json()).error.param, "deadline");
    }
  });
});

Deno.test("no job may take longer than the server allows", async () => {
  await using server = await serving({ limits: { maxJobSeconds: 1 } });
  const refused = await server.post("/v1/jobs", { request: { ...LONG, prompts: ["x"] }, deadline: 100 });
  assert.equal(refused.status, 400);
  const { error } = await refused.json();
  assert.deepEqual([error.code, error.param], ["out_of_range", "deadline"]);
  const { id, deadline } = await order(server, { request: { ...LONG, prompts: ["x"] } });
  assert.equal(deadline, 1);
  assert.equal((await ended(server, id)).error?.code, "deadline_exceeded");
});
