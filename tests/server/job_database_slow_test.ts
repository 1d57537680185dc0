import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { inFolder } from "../cli/run_cli.ts";
import { type Serving, serving, sseEvents } from "./serving.ts";

const SMALL = { model: "tiny", width: 64, height: 64, steps: 2, guidanceScale: 1 };

/** The tables before schema versions existed. */
const VERSION_0 = `
  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    client TEXT NOT NULL,
    key TEXT NOT NULL,
    previews INTEGER NOT NULL,
    job TEXT NOT NULL
  ) STRICT;
  CREATE INDEX jobs_by_status ON jobs (status, seq);
  CREATE TABLE events (
    job TEXT NOT NULL,
    number INTEGER NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, number)
  ) STRICT, WITHOUT ROWID;
`;

const listSchema = z.object({
  data: z.array(z.object({ id: z.string(), status: z.string() })),
  has_more: z.boolean(),
});

const replySchema = z.object({ id: z.string(), status: z.string() });

/** An entry of a server's log. */
interface Logged {
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A server with an existing store, and its log. */
async function logged(store: string): Promise<{ server: Serving; log: Logged[] }> {
  const log: Logged[] = [];
  const server = await serving({ store, log: (event, fields = {}) => log.push({ event, fields }) });
  return { server, log };
}

/** Makes some pictures. Returns the ids of their jobs in the order of the requests. */
async function pictures(server: Serving, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let seed = 0; seed < count; seed++) {
    const request = { ...SMALL, prompts: ["cat"], seeds: [seed] };
    const { id } = replySchema.parse(await (await server.post("/v1/jobs", { request })).json());
    await ended(server, id);
    ids.push(id);
  }
  return ids;
}

/** Waits for the end of a job, and returns its status. */
async function ended(server: Serving, id: string): Promise<string> {
  for await (const { event } of sseEvents(await server.ask(`/v1/jobs/${id}/events`))) void event;
  return replySchema.parse(await (await server.ask(`/v1/jobs/${id}`)).json()).status;
}

/** Returns the ids of all jobs, newest first, requested in pages of two. */
async function listed(server: Serving): Promise<string[]> {
  const ids: string[] = [];
  for (let after = "";;) {
    const reply = await server.ask(`/v1/jobs?limit=2${after}`);
    assert.equal(reply.status, 200);
    const page = listSchema.parse(await reply.json());
    ids.push(...page.data.map(({ id }) => id));
    if (!page.has_more) return ids;
    after = `&after=${ids.at(-1)}`;
  }
}

/** Opens the database of a store that no server uses. */
function onDatabase<T>(store: string, work: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(join(store, "jobs.sqlite"));
  try {
    return work(database);
  } finally {
    database.close();
  }
}

Deno.test("jobs from before schema versions are listed, and unfinished ones run", async () => {
  await inFolder(async (store) => {
    let before: string[];
    {
      await using server = await serving({ store });
      before = await pictures(server, 2);
    }
    // The same rows in the old tables. The second job is unfinished.
    const rows = onDatabase(store, (database) => database.prepare("SELECT * FROM jobs ORDER BY seq").all());
    await Deno.remove(join(store, "jobs.sqlite"));
    onDatabase(store, (database) => {
      database.exec(VERSION_0);
      for (const [index, row] of rows.entries()) {
        const status = index === 1 ? "running" : String(row["status"]);
        const job = JSON.parse(String(row["job"]));
        database.prepare(
          "INSERT INTO jobs (id, status, client, key, previews, job) VALUES (?, ?, ?, ?, ?, ?)",
        )
          .run(
            row["id"]!,
            status,
            row["client"]!,
            row["key"]!,
            row["previews"]!,
            JSON.stringify({ ...job, status }),
          );
      }
    });
    const { server, log } = await logged(store);
    await using _server = server;
    assert.deepEqual(await listed(server), before.toReversed());
    assert.equal(await ended(server, before[1]!), "completed");
    assert.deepEqual(log.filter(({ event }) => /set_aside/.test(event)), []);
  });
});

Deno.test("rows that do not match the schema are set aside, and all others are listed and run", async () => {
  await inFolder(async (store) => {
    let ids: string[];
    {
      await using server = await serving({ store });
      ids = await pictures(server, 8);
    }
    const change = (database: DatabaseSync, index: number, sql: string): unknown =>
      database.prepare(`UPDATE jobs SET ${sql} WHERE id = ?`).run(ids[index]!);
    onDatabase(store, (database) => {
      change(database, 0, "job = ''");
      change(database, 2, "job = json_remove(job, '$.created')");
      change(database, 3, "status = 'running', job = substr(job, 1, 40)");
      change(database, 4, "status = 'queued', job = json_set(job, '$.status', 'queued')");
      change(
        database,
        5,
        "status = 'queued', job = json_set(job, '$.status', 'queued', '$.graph', json('{}'))",
      );
      change(database, 6, "status = 'paused', job = json_set(job, '$.status', 'paused')");
      change(database, 7, "status = 'failed'");
    });
    const unfit = [0, 2, 3, 5, 6, 7].map((index) => ids[index]!);
    const { server, log } = await logged(store);
    {
      await using _server = server;
      assert.deepEqual(await listed(server), [ids[4], ids[1]]);
      assert.equal(await ended(server, ids[4]!), "completed");
      assert.equal((await server.ask(`/v1/jobs/${ids[0]}`)).status, 404);
      const told = log.filter(({ event }) => event === "job_set_aside");
      assert.deepEqual(told.map(({ fields }) => fields["id"]).sort(), unfit.toSorted());
      for (const { fields } of told) assert.match(String(fields["reason"]), /✖|must|Invalid|SyntaxError/);
    }
    // The renamed files are complete, so they can be repaired.
    const kept = onDatabase(store, (database) => database.prepare("SELECT row FROM unfit_jobs").all());
    assert.deepEqual(kept.map(({ row }) => JSON.parse(String(row)).id).sort(), unfit.toSorted());
  });
});

Deno.test("a damaged, foreign or newer database is renamed, and the server starts", async () => {
  const harms: Readonly<Record<string, (file: string) => Promise<void>>> = {
    "is not a database": (file) => Deno.writeTextFile(file, "not a database\n".repeat(500)),
    "was cut": (file) => Deno.truncate(file, 5000),
    "has foreign pages": async (file) => {
      const bytes = await Deno.readFile(file);
      await Deno.writeFile(file, bytes.fill(0x55, 4096));
    },
    "has other tables": async (file) => {
      await Deno.remove(file);
      const database = new DatabaseSync(file);
      database.exec("CREATE TABLE jobs (name TEXT)");
      database.close();
    },
    "lacks a column": (file) => {
      const database = new DatabaseSync(file);
      database.exec("ALTER TABLE jobs DROP COLUMN client");
      database.close();
      return Promise.resolve();
    },
    "has the schema of a newer program": (file) => {
      const database = new DatabaseSync(file);
      database.exec("PRAGMA user_version = 1000");
      database.close();
      return Promise.resolve();
    },
  };
  for (const [what, harm] of Object.entries(harms)) {
    await inFolder(async (store) => {
      const file = join(store, "jobs.sqlite");
      {
        await using server = await serving({ store });
        await pictures(server, 1);
      }
      await harm(file);
      const harmed = await Deno.readFile(file);
      const { server, log } = await logged(store);
      await using _server = server;
      const told = log.filter(({ event }) => event === "jobs_set_aside");
      assert.equal(told.length, 1, what);
      assert.equal(told[0]?.fields["file"], file);
      const renamed = String(told[0]?.fields["renamed"]);
      assert.match(renamed, /jobs\.set-aside-\d{4}-\d\d-\d\dT[\d-]+Z\.sqlite$/);
      const kept = await Deno.readFile(renamed);
      assert.equal(kept.length, harmed.length, what);
      // SQLite records the kind of journal in the header of a readable file.
      assert.deepEqual(kept.subarray(100), harmed.subarray(100), what);
      assert.deepEqual(await listed(server), []);
      assert.equal((await pictures(server, 1)).length, 1);
    });
  }
});
