import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { inFolder } from "../cli/run_cli.ts";
import { type JobSeen, ServerProcess } from "./server_process.ts";

const SMALL = { model: "tiny", width: 64, height: 64, steps: 2, guidanceScale: 1 };
const LONG = { ...SMALL, width: 768, height: 768, resolutionBinning: false, steps: 40 };

/** Waits for an entry of a server's log. */
async function logs(server: ServerProcess, text: RegExp): Promise<void> {
  for (let tries = 0; !text.test(server.log); tries++) {
    assert(tries < 200, `${text} was never logged: ${server.log}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Starts a server with a finished, a running and a waiting job. */
async function busy(store: string): Promise<{ server: ServerProcess; jobs: JobSeen[] }> {
  const server = await new ServerProcess({ store }).listens();
  const done = await server.order({ request: { ...SMALL, prompts: ["done"] } });
  await server.ended(done.id);
  const running = await server.order({ request: { ...LONG, prompts: ["runs"] } });
  const waiting = await server.order({ request: { ...SMALL, prompts: ["waits"] } });
  return { server, jobs: [done, running, waiting] };
}

async function assertKept(server: ServerProcess, jobs: readonly JobSeen[]): Promise<void> {
  for (const { id } of jobs) assert.equal((await server.job(id)).id, id);
  for (const { id } of jobs) assert.equal((await server.ended(id)).status, "completed", server.log);
}

for (const what of ["the whole store", "only the database"]) {
  Deno.test(`a server whose files are removed while it runs (${what}) says so and loses no job`, async () => {
    await inFolder(async (folder) => {
      const store = join(folder, "store");
      const { server, jobs } = await busy(store);
      try {
        if (what === "the whole store") {
          await Deno.remove(store, { recursive: true });
        } else {
          for (const name of ["jobs.sqlite", "jobs.sqlite-wal"]) await Deno.remove(join(store, name));
        }
        await logs(server, /"event":"jobs_moved_back".*removed while the server was running/);
        const late = await server.order({ request: { ...SMALL, prompts: ["late"] } });
        await server.end("SIGKILL");
        await using again = await new ServerProcess({ store }).listens();
        await assertKept(again, [...jobs, late]);
      } finally {
        await server.end("SIGKILL");
      }
    });
  });
}

Deno.test("a database that replaces the server's own is renamed, and no job is lost", async () => {
  await inFolder(async (folder) => {
    const store = join(folder, "store");
    const { server, jobs } = await busy(store);
    try {
      const file = join(store, "jobs.sqlite");
      await Deno.remove(file);
      const other = new DatabaseSync(file);
      other.exec("CREATE TABLE notes (text TEXT)");
      other.close();
      await logs(server, /"event":"jobs_moved_back"/);
      assert.match(server.log, /"event":"jobs_set_aside".*has replaced the one/);
      await server.end("SIGKILL");
      await using again = await new ServerProcess({ store }).listens();
      await assertKept(again, jobs);
      const names = Array.from(Deno.readDirSync(store), ({ name }) => name);
      const renamed = new DatabaseSync(join(store, names.find((name) => /set-aside/.test(name))!));
      assert.deepEqual(renamed.prepare("SELECT name FROM sqlite_master").all().map(({ name }) => name), [
        "notes",
      ]);
      renamed.close();
    } finally {
      await server.end("SIGKILL");
    }
  });
});

Deno.test("a disk that refuses writes for other reasons neither ends the server nor loses a job", async () => {
  await inFolder(async (store) => {
    // The database's log reaches this size after some jobs.
    let server = await new ServerProcess({ store, maxFileBytes: 1 << 19 }).listens();
    try {
      const taken: string[] = [];
      let refused: Response | undefined;
      for (let seed = 0; seed < 200 && !refused; seed++) {
        const reply = await fetch(`${server.url}/v1/jobs`, {
          method: "POST",
          headers: { "content-type": "application/json", "x-client-id": String(seed) },
          body: JSON.stringify({ request: { ...SMALL, prompts: ["cat"], seeds: [seed] } }),
        });
        if (reply.status === 202) taken.push((await reply.json()).id);
        else if (reply.status === 503) refused = reply;
        else await reply.body?.cancel();
      }
      assert(refused && taken.length > 0, server.log);
      assert.equal((await refused.json()).error.code, "store_unavailable");
      await logs(server, /"event":"jobs_not_written"/);
      assert.deepEqual(await (await fetch(`${server.url}/healthz`)).json(), { status: "ok" });
      assert.equal((await server.ended(taken[0]!)).status, "completed", "running jobs continue");
      await server.end("SIGKILL");
      server = await new ServerProcess({ store }).listens();
      for (const id of taken) assert.equal((await server.ended(id)).status, "completed", server.log);
    } finally {
      await server.end("SIGKILL");
    }
  });
});
