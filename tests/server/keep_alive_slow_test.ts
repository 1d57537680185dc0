import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { keepAliveMs } from "../../pixstage/duration.ts";
import { residentBytesOf } from "../../runtime/memory.ts";
import { LINUX, needing } from "../needing.ts";
import { type Serving, serving } from "./serving.ts";

/** The embedded model. */
const EMBEDDED = [{ name: "emoji", reference: "pixstage-emoji" }];

const loadedSchema = z.object({
  data: z.array(z.object({
    models: z.array(z.string()),
    resident_bytes: z.int().nullable(),
    busy: z.boolean(),
    used: z.number(),
    ends: z.number().nullable(),
  })),
});

/**
 * Returns the resident memory in bytes of each stage process that this process has started, by process id.
 */
function hostBytes(): Map<number, number> {
  const bytes = new Map<number, number>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = /^PPid:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${name}/status`))?.[1];
      const command = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      if (Number(parent) !== Deno.pid || !command.includes("process_main.ts")) continue;
    } catch {
      continue; // The process has just ended.
    }
    const resident = residentBytesOf(Number(name));
    if (resident !== undefined) bytes.set(Number(name), resident);
  }
  return bytes;
}

async function loaded(server: Serving): Promise<z.infer<typeof loadedSchema>["data"]> {
  return loadedSchema.parse(await (await server.ask("/v1/models/loaded")).json()).data;
}

async function picture(server: Serving, more: object = {}): Promise<void> {
  const reply = await server.post("/v1/images/generations", {
    prompt: "cute cat",
    steps: 2,
    seed: 1,
    ...more,
  });
  const body = await reply.json();
  assert.equal(reply.status, 200, JSON.stringify(body));
}

/** Returns the models that `GET /v1/models` reports as loaded. */
async function loadedNames(server: Serving): Promise<string[]> {
  const { data } = z.object({ data: z.array(z.object({ id: z.string(), loaded: z.boolean() })) }).parse(
    await (await server.ask("/v1/models")).json(),
  );
  return data.filter(({ loaded }) => loaded).map(({ id }) => id);
}

/** Waits until all stage processes have ended. Fails after some seconds. */
async function noHosts(): Promise<void> {
  for (let waited = 0; hostBytes().size > 0; waited += 20) {
    assert(waited < 20_000, "processes are still there");
    await delay(20);
  }
}

Deno.test(needing(LINUX, {
  name: "a model is unloaded when its keep-alive time is over, and its memory is released",
  fn: async () => {
    await using server = await serving({ models: EMBEDDED, keepAliveMs: keepAliveMs("6s") });
    assert.deepEqual(await loadedNames(server), []);
    await picture(server);
    const [host, ...others] = await loaded(server);
    assert.deepEqual(others, []);
    assert.deepEqual([host?.models, host?.busy], [["emoji"], false]);
    assert(host!.ends !== null && Math.abs(host!.ends - host!.used - 6) < 5, JSON.stringify(host));
    const [[pid, bytes] = [0, 0]] = hostBytes();
    assert.equal(host?.resident_bytes, bytes);
    assert(bytes > 80e6, `${bytes} resident bytes of process ${pid}`);
    assert.deepEqual(await loadedNames(server), ["emoji"]);
    const before = await (await server.ask("/metrics")).text();
    assert.match(before, /pixstage_hosts\{state="idle"\} 1\n/);
    assert.match(before, /pixstage_models_loaded\{model="emoji"\} 1\n/);
    // A picture in between restarts the keep-alive time.
    await picture(server, { seed: 2 });
    const [again] = await loaded(server);
    assert(again!.ends! > host!.ends!, JSON.stringify(again));
    assert.deepEqual([...hostBytes().keys()], [pid]);
    await noHosts();
    assert.deepEqual(await loaded(server), []);
    assert.deepEqual(await loadedNames(server), []);
    const after = await (await server.ask("/metrics")).text();
    assert.match(after, /pixstage_hosts\{state="idle"\} 0\n/);
    assert.match(after, /pixstage_hosts_resident_memory_bytes 0\n/);
    assert(!after.includes("pixstage_models_loaded{"));
    await picture(server, { seed: 3 });
    assert.equal(hostBytes().size, 1, "it is loaded again");
  },
}));

Deno.test(needing(LINUX, {
  name: "a request sets its model's keep-alive time, and an unload request takes effect at once",
  fn: async () => {
    await using server = await serving({ models: EMBEDDED });
    await picture(server, { keep_alive: 0 });
    await noHosts();
    await picture(server, { keep_alive: "1h", seed: 2 });
    const [host] = await loaded(server);
    assert(Math.abs(host!.ends! - Date.now() / 1000 - 3600) < 60);
    await picture(server, { keep_alive: -1, seed: 3 });
    assert.equal((await loaded(server))[0]?.ends, null);
    const unload = async (query: string) =>
      await (await server.ask(`/v1/models/loaded${query}`, { method: "DELETE" })).json();
    assert.deepEqual(await unload("?model=emoji"), { unloaded: ["emoji"] });
    assert.equal(hostBytes().size, 0, "they have ended when the answer comes");
    assert.deepEqual(await unload(""), { unloaded: [] });
    assert.equal((await unload("?model=nobody")).error.code, "model_not_found");

    // A busy process ends after its run, and the picture is complete.
    const running = picture(server, { steps: 20, seed: 4 });
    while ((await loaded(server)).every(({ busy }) => !busy)) await delay(10);
    await unload("");
    await running;
    await noHosts();

    const job = await server.post("/v1/jobs", { request: { prompts: ["cat"], steps: 2 }, keep_alive: "0" });
    assert.equal(job.status, 202);
    await job.body?.cancel();
    await delay(100);
    await noHosts();
  },
}));

Deno.test("invalid durations are refused with the field", async () => {
  await using server = await serving();
  for (const keep_alive of ["soon", true, "5 m"]) {
    for (
      const [path, body] of [
        ["/v1/images/generations", { prompt: "cat", keep_alive }],
        ["/v1/jobs", { request: { prompts: ["cat"] }, keep_alive }],
      ] as const
    ) {
      const reply = await server.post(path, body);
      const { error } = await reply.json();
      assert.deepEqual([reply.status, error.code, error.param], [400, "invalid_value", "keep_alive"]);
      assert.match(error.message, /must be/);
    }
  }
});
