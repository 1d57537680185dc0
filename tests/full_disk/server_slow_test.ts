import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { artifactId, encodeArtifact } from "../../artifacts/artifact_file.ts";
import { ROOT, ServerProcess, TINY } from "../server/server_process.ts";
import { sseEvents } from "../server/serving.ts";
import { sampleArtifact } from "../artifacts/store/samples.ts";
import { onSmallDisk, SMALL_DISKS, type SmallDisk } from "./small_disk.ts";
import { needing } from "../needing.ts";

const PICTURES = 10;

const jobSchema = z.object({
  id: z.string(),
  status: z.string(),
  images: z.array(z.object({ url: z.string() })),
});
const errorSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

const headers = { "content-type": "application/json" };

function picture(seed: number, more: object = {}): object {
  const size = { width: 256, height: 256, resolutionBinning: false, steps: 3 };
  return { request: { model: "tiny", prompts: ["cat"], seeds: [seed], ...size, ...more } };
}

/** Defines a test on a separate disk. */
function diskTest(name: string, megabytes: number, test: (disk: SmallDisk) => Promise<void>): void {
  Deno.test(needing(SMALL_DISKS, { name, fn: () => onSmallDisk(megabytes, test) }));
}

async function post(server: ServerProcess, path: string, body: object): Promise<Response> {
  return await fetch(server.url + path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** Checks the reply to a request that fails because the disk is full. */
async function assertFull(reply: Response): Promise<void> {
  const text = await reply.text();
  assert.equal(reply.status, 507, text);
  const { error } = errorSchema.parse(JSON.parse(text));
  assert.equal(error.code, "disk_full");
  assert.match(error.message, /disk is full: try again/);
  assert.doesNotMatch(error.message, /sqlite|\/tmp/i, "the server's paths are its own");
}

/** Uploads an artifact. */
async function put(server: ServerProcess, seed: number): Promise<Response> {
  const bytes = encodeArtifact(sampleArtifact(seed, 100_000));
  return await fetch(`${server.url}/v1/artifacts/${await artifactId(bytes)}`, { method: "PUT", body: bytes });
}

/** Returns all jobs by id. */
async function jobs(server: ServerProcess): Promise<Map<string, z.infer<typeof jobSchema>>> {
  const reply = await fetch(`${server.url}/v1/jobs?limit=100`);
  assert.equal(reply.status, 200);
  const { data } = z.object({ data: z.array(jobSchema) }).parse(await reply.json());
  return new Map(data.map((job) => [job.id, job]));
}

/** Waits until a condition holds. */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !await holds(); tries++) {
    assert(tries < 600, `waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function assertAlive(server: ServerProcess): Promise<void> {
  const reply = await fetch(`${server.url}/healthz`);
  assert.deepEqual(await reply.json(), { status: "ok" }, server.log);
}

diskTest(
  "on a full disk the server replies 507 and loses no job, and all jobs finish when the disk has space",
  20,
  async (disk) => {
    const store = join(disk.folder, "store");
    let server = await new ServerProcess({ store }).listens();
    try {
      // 1. The disk has space for some of the pictures.
      await disk.fill(4 << 20);
      const taken: string[] = [];
      for (let seed = 1; seed <= PICTURES; seed++) {
        const reply = await post(server, "/v1/jobs", picture(seed));
        if (reply.status === 202) taken.push(jobSchema.parse(await reply.json()).id);
        else await assertFull(reply);
      }
      assert(taken.length > 2, `only ${taken.length} jobs were taken`);
      await until("the disk is full", () => /"error":"NotKeptError"|jobs_not_written/.test(server.log));
      await assertAlive(server);
      await assertFull(await post(server, "/v1/jobs", picture(100)));
      await assertFull(await post(server, "/v1/images/generations", { prompt: "cat", size: "256x256" }));
      await disk.fill();
      await assertFull(await put(server, 1));
      const seen = await jobs(server);
      assert.deepEqual([...seen.keys()].toSorted(), taken.toSorted());
      const open = [...seen.values()].filter(({ status }) => status !== "completed");
      assert(open.length > 0 && open.every(({ status }) => status === "queued"), JSON.stringify(open));

      // 2. The server restarts while the disk is full, and lists all jobs.
      await server.end("SIGKILL");
      server = await new ServerProcess({ store }).listens();
      await assertAlive(server);
      assert.deepEqual([...(await jobs(server)).keys()].toSorted(), taken.toSorted());
      await assertFull(await post(server, "/v1/jobs", picture(100)));
      await assertFull(await put(server, 1));

      // 3. It continues by itself when the disk has space.
      await disk.empty();
      for (const id of taken) assert.equal((await server.ended(id)).status, "completed", server.log);
      for (const { images } of (await jobs(server)).values()) {
        const reply = await fetch(server.url + images[0]!.url);
        assert.equal(reply.status, 200);
        assert((await reply.bytes()).length > 1000);
      }
      assert.equal((await put(server, 1)).status, 201);
      assert.equal((await server.ended((await server.order(picture(200))).id)).status, "completed");
    } finally {
      await server.end("SIGKILL");
    }
  },
);

diskTest(
  "a server with a new store starts on a full disk, and opens the store when the disk has space",
  8,
  async (disk) => {
    await disk.fill();
    const server = await new ServerProcess({ store: join(disk.folder, "store") }).listens();
    try {
      await assertAlive(server);
      await assertFull(await fetch(`${server.url}/v1/jobs`));
      await assertFull(await post(server, "/v1/jobs", picture(1)));
      await assertFull(await post(server, "/v1/images/generations", { prompt: "cat", size: "256x256" }));
      await disk.empty();
      await until("jobs are accepted", async () => {
        const reply = await fetch(`${server.url}/v1/jobs`);
        await reply.body?.cancel();
        return reply.status === 200;
      });
      assert.equal((await server.ended((await server.order(picture(1))).id)).status, "completed", server.log);
    } finally {
      await server.end("SIGKILL");
    }
  },
);

diskTest(
  "a disk that fills up during a run loses neither events nor the picture",
  16,
  async (disk) => {
    const server = await new ServerProcess({ store: join(disk.folder, "store") }).listens();
    try {
      const { id } = await server.order({ ...picture(1, { steps: 100 }), previews: false });
      const numbers: number[] = [];
      const types: string[] = [];
      for await (const event of sseEvents(await fetch(`${server.url}/v1/jobs/${id}/events`))) {
        numbers.push(Number(event.id));
        types.push(event.event);
        if (event.event !== "step") continue;
        const steps = types.filter((type) => type === "step").length;
        if (steps === 5) await disk.fill();
        if (steps === 40) {
          assert.match(server.log, /"event":"jobs_not_written"/);
          await assertFull(await post(server, "/v1/jobs", picture(2)));
          await disk.empty();
        }
      }
      assert.equal(types.at(-1), "done", server.log);
      assert.deepEqual(numbers, numbers.map((_, index) => index + 1), "no event is missing");
      const { status, images } = jobSchema.parse(await server.job(id));
      assert.equal(status, "completed");
      assert.equal((await fetch(server.url + images[0]!.url)).status, 200);
      await until("the events are written", () => /"event":"jobs_written_again"/.test(server.log));

      // A client that reconnects after a crash gets the same events.
      await server.end("SIGKILL");
      await using again = await new ServerProcess({ store: join(disk.folder, "store") }).listens();
      const replayed: string[] = [];
      for await (const { event } of sseEvents(await fetch(`${again.url}/v1/jobs/${id}/events`))) {
        replayed
          .push(event);
      }
      assert.deepEqual(replayed, types);
    } finally {
      await server.end("SIGKILL");
    }
  },
);

diskTest("a stream ends with the reason if its job would have to wait for space", 16, async (disk) => {
  const server = await new ServerProcess({ store: join(disk.folder, "store") }).listens();
  try {
    const { id } = await server.order({ ...picture(1, { steps: 100 }), previews: false });
    const request = { model: "tiny", prompt: "dog", size: "256x256", steps: 3, stream: true };
    const stream = await post(server, "/v1/images/generations", request);
    assert.equal(stream.status, 200);
    for await (const { event } of sseEvents(await fetch(`${server.url}/v1/jobs/${id}/events`))) {
      if (event === "step") break;
    }
    await disk.fill();
    const events = await Array.fromAsync(sseEvents(stream));
    assert.deepEqual(events.map(({ event }) => event), ["error"]);
    const { error } = errorSchema.parse(JSON.parse(events[0]!.data));
    assert.equal(error.code, "disk_full");
    assert.match(error.message, /disk is full: try again/);
    await disk.empty();
    assert.equal((await server.ended(id)).status, "completed", server.log);
    const pictures = [...(await jobs(server)).values()].map(({ status }) => status);
    assert.deepEqual(pictures.toSorted(), ["cancelled", "completed"]);
  } finally {
    await server.end("SIGKILL");
  }
});

diskTest(
  "a stage without space, even for temporary files, runs again when there is space",
  16,
  async (disk) => {
    const temporary = join(disk.folder, "temporary");
    await Deno.mkdir(temporary);
    const options = { store: join(disk.folder, "store"), env: { TMPDIR: temporary } };
    const server = await new ServerProcess(options).listens();
    try {
      const { id } = await server.order({ ...picture(1, { steps: 50 }), previews: false });
      let filled = false;
      for await (const { event, data } of sseEvents(await fetch(`${server.url}/v1/jobs/${id}/events`))) {
        if (event === "step" && !filled) {
          await disk.fill();
          filled = true;
        }
        assert.notEqual(event, "failed", data);
        if (event === "warning" && /A stage could not write .* when the disk has space/.test(data)) break;
      }
      assert.equal((await server.job(id)).status, "queued");
      await disk.empty();
      assert.equal((await server.ended(id)).status, "completed", server.log);
    } finally {
      await server.end("SIGKILL");
    }
  },
);

diskTest(
  "a log on a full disk ends neither the server nor a request, and continues when the disk has space",
  8,
  async (disk) => {
    const log = join(disk.folder, "log");
    const command = ["run", "-A", "--no-check", "server.ts", "--port", "0", "--model", TINY];
    const server = new Deno.Command("sh", {
      args: [
        "-c",
        `exec "$@" 2>"${log}"`,
        "sh",
        Deno.execPath(),
        ...command,
        "--store",
        join(disk.folder, "store"),
      ],
      cwd: ROOT,
    }).spawn();
    try {
      const logged = async (): Promise<string> => await Deno.readTextFile(log).catch(() => "");
      await until("it listens", async () => /listens at http:\S+/.test(await logged()));
      const [, url] = /listens at (http:\S+)/.exec(await logged()) ?? [];
      await disk.fill();
      const before = (await logged()).length;
      for (let asked = 0; asked < 100; asked++) assert.equal((await fetch(`${url}/v1/models`)).status, 200);
      assert((await logged()).length - before < 8192, "the log was written to a full disk");
      await disk.empty();
      assert.equal((await fetch(`${url}/healthz?after`)).status, 200);
      await until("the log continues", async () => /"path":"\/healthz"/.test(await logged()));
    } finally {
      server.kill("SIGKILL");
      await server.status;
    }
  },
);

diskTest("uploads of artifacts leave disk space for runs", 20, async (disk) => {
  await using server = await new ServerProcess({ store: join(disk.folder, "store") }).listens();
  let taken = 0;
  for (let reply = await put(server, taken); reply.status === 201; reply = await put(server, taken)) {
    await reply.body?.cancel();
    taken += 1;
    assert(taken < 60, "more than the disk's size was accepted");
  }
  await assertFull(await put(server, taken));
  assert(taken > 30, `only ${taken} artifacts were taken`);
  const files = await disk.files();
  assert(!files.some((name) => /partial/.test(name)), "nothing is left of what was refused");
  assert.equal(
    (await server.ended((await server.order(picture(1, { width: 64, height: 64 }))).id)).status,
    "completed",
  );
});
