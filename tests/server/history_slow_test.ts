import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { collectGarbage } from "../../artifacts/store/folder_maintenance.ts";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import { readKept } from "../../artifacts/store/folder_kept.ts";
import { createClient } from "../../client.ts";
import { inFolder } from "../cli/run_cli.ts";
import { type Serving, serving, sseEvents } from "./serving.ts";

const SMALL = { model: "tiny", width: 64, height: 64, steps: 2, guidanceScale: 1 };
const LONG = { ...SMALL, width: 512, height: 512, steps: 150 };

const jobSchema = z.object({
  id: z.string(),
  status: z.string(),
  starred: z.boolean(),
  artifacts: z.record(z.string(), z.object({ id: z.string() })),
});

type Job = z.infer<typeof jobSchema>;

async function order(server: Serving, prompts: string[], request: object = SMALL): Promise<Job> {
  const reply = await server.post("/v1/jobs", { request: { ...request, prompts, seeds: [41] } });
  return jobSchema.parse(await reply.json());
}

async function made(server: Serving, ...prompts: string[]): Promise<Job> {
  const { id } = await order(server, prompts);
  for await (const { event } of sseEvents(await server.ask(`/v1/jobs/${id}/events`))) void event;
  return jobSchema.parse(await (await server.ask(`/v1/jobs/${id}`)).json());
}

async function star(server: Serving, id: string, body: unknown = { starred: true }): Promise<Response> {
  return await server.ask(`/v1/jobs/${id}`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

async function ids(server: Serving, query: string): Promise<string[]> {
  const reply = await server.ask(`/v1/jobs?${query}`);
  assert.equal(reply.status, 200);
  const { data } = z.object({ data: z.array(jobSchema) }).parse(await reply.json());
  return data.map(({ id }) => id);
}

/** Waits until the store protects the given number of artifacts. */
async function keeps(store: string, count: number): Promise<ReadonlySet<string>> {
  for (;;) {
    const kept = await readKept(store);
    if (kept.size === count) return kept;
    await delay(10);
  }
}

Deno.test("jobs can be searched, starred and listed by both, page by page", async () => {
  await using server = await serving();
  const cat = await made(server, "A cute CAT on a roof");
  const dog = await made(server, "a dog");
  const both = await made(server, "a cat, a dog and Ümläute");
  assert.deepEqual(await ids(server, "q=cat"), [both.id, cat.id]);
  assert.deepEqual(await ids(server, "q=Cat+dog"), [both.id]);
  assert.deepEqual(await ids(server, "q=%C3%9Cml%C3%A4ute"), [both.id]);
  assert.deepEqual(await ids(server, "q=tiny+41&limit=2"), [both.id, dog.id]);
  assert.deepEqual(await ids(server, `q=tiny+41&limit=2&after=${dog.id}`), [cat.id]);
  assert.deepEqual(await ids(server, "q=%25"), [], "% is a character like others");
  assert.deepEqual(await ids(server, "q=cat&status=failed"), []);

  const changed = jobSchema.parse(await (await star(server, cat.id)).json());
  assert.deepEqual([changed.id, changed.starred], [cat.id, true]);
  assert.deepEqual(await ids(server, "starred=true"), [cat.id]);
  assert.deepEqual(await ids(server, "starred=false&status=completed"), [both.id, dog.id]);
  assert.deepEqual(await ids(server, "starred=true&q=dog"), []);
  const client = createClient(server.url);
  const reply = await client.v1.jobs[":id"].$patch({ param: { id: cat.id }, json: { starred: false } });
  assert.equal(reply.status, 200);
  assert.deepEqual(await ids(server, "starred=true"), []);
});

Deno.test("invalid searches and changes of jobs are refused with the field", async () => {
  await using server = await serving({ limits: { maxStarred: 1 } });
  const [first, second] = [await made(server, "one"), await made(server, "two")];
  const refusal = async (reply: Response) => {
    const { error } = await reply.json();
    return [reply.status, error.code, error.param];
  };
  const list = (query: string) => server.ask(`/v1/jobs?${query}`).then(refusal);
  assert.deepEqual(await list(`q=${"x".repeat(201)}`), [400, "invalid_value", "query.q"]);
  assert.deepEqual(await list("starred=1"), [400, "invalid_value", "query.starred"]);
  assert.deepEqual(await refusal(await star(server, first.id, {})), [400, "invalid_value", "starred"]);
  assert.deepEqual(await refusal(await star(server, first.id, { starred: "yes" })), [
    400,
    "invalid_value",
    "starred",
  ]);
  assert.deepEqual(await refusal(await star(server, first.id, { starred: true, status: "failed" })), [
    400,
    "invalid_value",
    "status",
  ]);
  const nobody = `job_${"0".repeat(32)}`;
  assert.deepEqual(await refusal(await star(server, nobody)), [404, "job_not_found", "id"]);
  for (let twice = 0; twice < 2; twice++) assert.equal((await star(server, first.id)).status, 200);
  assert.deepEqual(await refusal(await star(server, second.id)), [400, "out_of_range", "starred"]);
});

Deno.test("a starred job outlives the history's limit and every clean-up, also by other processes", async () => {
  await inFolder(async (folder) => {
    const store = new FolderStore(folder);
    let kept: Job;
    {
      await using server = await serving({ store: folder, limits: { keptJobs: 1 } });
      // Starring a running job also works.
      const running = await order(server, ["kept"], { ...LONG, steps: 20 });
      assert.equal((await star(server, running.id)).status, 200);
      for await (const { event } of sseEvents(await server.ask(`/v1/jobs/${running.id}/events`))) void event;
      kept = jobSchema.parse(await (await server.ask(`/v1/jobs/${running.id}`)).json());
      assert.deepEqual([kept.status, kept.starred], ["completed", true]);
      const lost = [await made(server, "lost"), await made(server, "lost too"), await made(server, "last")];
      assert.deepEqual(await ids(server, "limit=9"), [lost[2]!.id, kept.id]);
      const artifacts = Object.values(kept.artifacts).map(({ id }) => id);
      assert.deepEqual(new Set(artifacts), await keeps(folder, artifacts.length));
      await collectGarbage(store, 0);
      for (const id of artifacts) assert(await store.has(id), id);
      for (const { id } of Object.values(lost[2]!.artifacts)) {
        assert.equal(await store.has(id), artifacts.includes(id));
      }
    }
    const artifacts = Object.values(kept.artifacts).map(({ id }) => id);
    {
      // A restarted server collects garbage, and still knows which jobs are starred.
      await using server = await serving({ store: folder, storeMaxAgeMs: 0 });
      await delay(300);
      for (const id of artifacts) assert(await store.has(id), id);
      assert.equal((await star(server, kept.id, { starred: false })).status, 200);
      await keeps(folder, 0);
      assert.equal((await star(server, kept.id)).status, 200);
      await keeps(folder, artifacts.length);
      assert.equal((await server.ask(`/v1/jobs/${kept.id}`, { method: "DELETE" })).status, 204);
      await keeps(folder, 0);
    }
    await collectGarbage(store, 0);
    for (const id of artifacts) assert(!await store.has(id), id);
  });
});

Deno.test("jobs in an older database can be searched and starred", async () => {
  await inFolder(async (folder) => {
    let job: Job;
    {
      await using server = await serving({ store: folder });
      job = await made(server, "Ärger im Garten");
    }
    const database = new DatabaseSync(join(folder, "jobs.sqlite"));
    database.exec("DROP TABLE webhooks; DROP INDEX jobs_by_star");
    for (const column of ["starred", "search"]) database.exec(`ALTER TABLE jobs DROP COLUMN ${column}`);
    database.exec("UPDATE jobs SET job = json_remove(job, '$.starred'); PRAGMA user_version = 3");
    database.close();
    await using server = await serving({ store: folder });
    assert.deepEqual(await ids(server, "q=%C3%A4RGER"), [job.id]);
    assert.deepEqual(await ids(server, "starred=false"), [job.id]);
    assert.equal((await star(server, job.id)).status, 200);
    assert.deepEqual(await ids(server, "starred=true&q=garten"), [job.id]);
  });
});
