import assert from "node:assert/strict";
import { z } from "zod";
import { artifactId, encodeArtifact } from "../../artifacts/artifact_file.ts";
import { shardPath } from "../../artifacts/store/folder_layout.ts";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import { StoreQuota } from "../../server/store_quota.ts";
import { encodePicture } from "../../images/picture.ts";
import { main } from "../../cli.ts";
import { inFolder } from "../cli/run_cli.ts";
import { sampleArtifact } from "../artifacts/store/samples.ts";
import { ServerProcess } from "./server_process.ts";
import { type Serving, serving, sseEvents } from "./serving.ts";

const KILOBYTE = 1000;
const SMALL = { model: "tiny", width: 64, height: 64, steps: 2, guidanceScale: 1 };
const LONG = { ...SMALL, width: 512, height: 512, steps: 50 };

const jobSchema = z.object({
  id: z.string(),
  status: z.string(),
  artifacts: z.record(z.string(), z.object({ id: z.string() })),
});

/** Uploads an artifact of 300 kB. Returns its id and the status of the reply. */
async function put(
  url: string,
  seed: number,
): Promise<{ id: string; status: number; code: string | undefined }> {
  const bytes = encodeArtifact(sampleArtifact(seed, 75_000));
  const id = await artifactId(bytes);
  const reply = await fetch(`${url}/v1/artifacts/${id}`, { method: "PUT", body: bytes });
  const { error } = await reply.json();
  return { id, status: reply.status, code: error?.code };
}

async function status(url: string, id: string): Promise<number> {
  return (await fetch(`${url}/v1/artifacts/${id}`, { method: "HEAD" })).status;
}

/** Sets the time of an artifact's last use into the past. */
async function age(store: string, id: string, minutes: number): Promise<void> {
  const then = new Date(Date.now() - minutes * 60_000);
  await Deno.utime(shardPath(store, "artifacts", id), then, then);
}

async function order(server: Serving, body: object): Promise<string> {
  return jobSchema.parse(await (await server.post("/v1/jobs", body)).json()).id;
}

async function ended(server: Serving, id: string): Promise<z.infer<typeof jobSchema>> {
  for await (const { event } of sseEvents(await server.ask(`/v1/jobs/${id}/events`))) void event;
  return jobSchema.parse(await (await server.ask(`/v1/jobs/${id}`)).json());
}

Deno.test("an upload beyond the limit of the store gets 507, and runs continue", async () => {
  await using server = await serving({ storeBytes: 1300 * KILOBYTE });
  const ids: string[] = [];
  for (let seed = 0; seed < 4; seed++) {
    const { id, status } = await put(server.url, seed);
    assert.equal(status, 201);
    ids.push(id);
  }
  const refused = await put(server.url, 4);
  assert.deepEqual([refused.status, refused.code], [507, "store_full"]);
  assert.equal((await put(server.url, 3)).status, 200, "a known artifact needs no space");
  assert.deepEqual([...Deno.readDirSync(`${server.store}/partial`)], []);
  const job = await ended(server, await order(server, { request: { ...SMALL, prompts: ["cat"] } }));
  assert.equal(job.status, "completed");
  for (const id of ids) assert.equal(await status(server.url, id), 200, "recent uploads stay");
});

Deno.test("a picture whose pixels exceed the limit of the store gets 507, also in an edit", async () => {
  await using server = await serving({ storeBytes: 5000 * KILOBYTE });
  // A few kilobytes as a file, 3.1 MB as an artifact.
  const picture = (value: number) =>
    encodePicture({ width: 1024, height: 1024, data: new Uint8Array(3 << 20).fill(value) }, {
      format: "png",
    });
  const upload = async (value: number): Promise<[number, string | undefined]> => {
    const reply = await server.ask("/v1/pictures", { method: "POST", body: await picture(value) });
    const { error } = await reply.json();
    return [reply.status, error?.code];
  };
  assert.deepEqual(await upload(1), [201, undefined]);
  assert.deepEqual(await upload(2), [507, "store_full"]);
  assert.deepEqual(await upload(1), [201, undefined], "a known picture needs no space");
  const form = new FormData();
  form.set("prompt", "cat");
  form.set("image", new Blob([await picture(3)], { type: "image/png" }), "picture.png");
  const edit = await server.ask("/v1/images/edits", { method: "POST", body: form });
  assert.deepEqual([edit.status, (await edit.json()).error.code], [507, "store_full"]);
});

Deno.test("an upload that would exceed the limit removes the least recently used files", async () => {
  await inFolder(async (folder) => {
    const store = new FolderStore(folder);
    const ids: string[] = [];
    for (let seed = 0; seed < 5; seed++) ids.push(await store.put(sampleArtifact(seed, 75_000)));
    const [needed, oldest, older, looked, young] = ids as [string, string, string, string, string];
    for (const [id, minutes] of [[needed, 60], [oldest, 50], [older, 40], [looked, 30]] as const) {
      await age(folder, id, minutes);
    }
    await store.get(looked);
    const told: string[] = [];
    const quota = new StoreQuota(store, {
      maxBytes: 1600 * KILOBYTE,
      inUse: () => new Set([needed]),
      log: (event) => told.push(event),
    });
    const upload = quota.begin("0".repeat(64));
    await quota.take(upload, 50 * KILOBYTE);
    assert.deepEqual(told, [], "it fits");
    // The server has just scanned the store.
    await assert.rejects(quota.take(upload, 300 * KILOBYTE), { status: 507, code: "store_full" });
    for (let tries = 0; told.length === 0 && tries < 100; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await quota.take(upload, 300 * KILOBYTE).catch(() => {});
    }
    quota.end(upload, false);
    assert.deepEqual(told, ["store_collected"]);
    const left = new Set((await Array.fromAsync(store.list())).map(({ id }) => id));
    assert.deepEqual(left, new Set([needed, older, looked, young]), "one was enough");

    // Files that are in use or were just used remain.
    const other = quota.begin("1".repeat(64));
    await quota.take(other, 300 * KILOBYTE);
    await assert.rejects(quota.take(other, 600 * KILOBYTE), { code: "store_full" });
    await quota.close();
  });
});

Deno.test("an upload that a scan finds in the store before it has ended counts once", async () => {
  await inFolder(async (folder) => {
    const store = new FolderStore(folder);
    let scans = 0;
    const quota = new StoreQuota(store, {
      maxBytes: 1000 * KILOBYTE,
      inUse: () => {
        scans++;
        return new Set();
      },
      log: () => {},
    });
    const artifact = sampleArtifact(1, 75_000);
    const bytes = encodeArtifact(artifact);
    const upload = quota.begin(await artifactId(bytes));
    await quota.take(upload, bytes.length);
    await store.put(artifact);
    const next = quota.begin("0".repeat(64));
    const before = scans;
    while (scans === before) {
      await assert.rejects(quota.take(next, 800 * KILOBYTE), { code: "store_full" });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    quota.end(upload, true);
    await quota.take(next, 600 * KILOBYTE);
    await assert.rejects(quota.take(next, 150 * KILOBYTE), { code: "store_full" });
    quota.end(next, false);
    await quota.close();
  });
});

Deno.test("the inputs of a waiting job remain in the store, however old they are", async () => {
  await inFolder(async (store) => {
    let latents: string, stray: string, waiting: string;
    {
      await using server = await serving({ store });
      const request = { ...SMALL, prompts: ["cat"] };
      const { artifacts } = await ended(server, await order(server, { request }));
      latents = artifacts["denoise.latents"]!.id;
      stray = (await put(server.url, 1)).id;
      await order(server, { request: { ...LONG, prompts: ["before"] } });
      const decode = {
        stage: "decode",
        parameters: { model: "tiny", tiling: "seamless" },
        inputs: { latents: { artifact: latents } },
      };
      waiting = await order(server, { graph: { pixstage: 1, nodes: { decode } } });
    }
    for (const id of [latents, stray]) await age(store, id, 60);
    const told: string[] = [];
    await using server = await serving({
      store,
      storeMaxAgeMs: 30 * 60_000,
      log: (event) => told.push(event),
    });
    for (let tries = 0; !told.includes("store_collected") && tries < 100; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(await status(server.url, stray), 404);
    assert.equal((await ended(server, waiting)).status, "completed");
  });
});

Deno.test("a picture whose artifacts the store removed is made again, and is the same", async () => {
  await inFolder(async (store) => {
    await using server = await serving({ store });
    const request = { ...SMALL, guidanceScale: 4, prompts: ["cat"] };
    const { artifacts } = await ended(server, await order(server, { request }));
    const path = `/v1/artifacts/${artifacts["decode.image"]!.id}`;
    const before = await (await server.ask(path)).bytes();
    for await (const { id } of new FolderStore(store).list()) {
      await Deno.remove(shardPath(store, "artifacts", id));
    }
    assert.equal((await ended(server, await order(server, { request }))).status, "completed");
    assert.deepEqual(await (await server.ask(path)).bytes(), before);
  });
});

Deno.test("a picture that a job found in the store counts as just used", async () => {
  await inFolder(async (store) => {
    await using server = await serving({ store });
    const request = { ...SMALL, prompts: ["cat"] };
    const { artifacts } = await ended(server, await order(server, { request }));
    const { id } = artifacts["decode.image"]!;
    await age(store, id, 60);
    assert.equal((await ended(server, await order(server, { request }))).status, "completed");
    const { mtime } = await Deno.stat(shardPath(store, "artifacts", id));
    assert(Date.now() - mtime!.getTime() < 60_000, `last used at ${mtime}`);
  });
});

Deno.test("serve removes files that were unused for --store-max-age days", async () => {
  await inFolder(async (store) => {
    let ids: string[];
    {
      await using server = await serving({ store });
      ids = (await Promise.all([1, 2].map((seed) => put(server.url, seed)))).map(({ id }) => id);
    }
    await age(store, ids[0]!, 3 * 24 * 60);
    await using server = await new ServerProcess({
      store,
      options: ["--store-max-age", "2", "--store-size", "400KB"],
    }).listens();
    for (let tries = 0; !/"event":"store_collected"/.test(server.log); tries++) {
      assert(tries < 100, server.log);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(await Promise.all(ids.map((id) => status(server.url, id))), [404, 200]);
    assert.equal((await put(server.url, 3)).code, "store_full");
  });
});

Deno.test("serve refuses invalid sizes and ages", async () => {
  for (const wrong of [["--store-size", "much"], ["--store-max-age", "-1"]]) {
    assert.equal(await main(["serve", ...wrong, "--port", "0", "--quiet"]), 2);
  }
});
