import assert from "node:assert/strict";
import { fc } from "../../random.ts";
import { Hono } from "hono";
import type { Artifact } from "../../../artifacts/artifact.ts";
import { artifactId, encodeArtifact } from "../../../artifacts/artifact_file.ts";
import { FolderStore } from "../../../artifacts/store/folder_store.ts";
import { HttpStore, StoreRequestError } from "../../../artifacts/store/http_store.ts";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import type { ArtifactStore, RunStore, StoreDamage } from "../../../artifacts/store/store.ts";
import { InputError } from "../../../errors/pixstage_error.ts";
import { record, sampleArtifact, withFolder } from "./samples.ts";

/** Returns a minimal server of artifacts, and the bytes that it stores. */
function artifactServer(): { app: Hono; files: Map<string, Uint8Array<ArrayBuffer>> } {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const app = new Hono().basePath("/v1/artifacts/:id");
  app.use(async (context, next) => {
    if (context.req.header("authorization") !== "Bearer secret") return context.text("Who are you?", 401);
    return await next();
  });
  app.get("/", (context) => {
    const bytes = files.get(context.req.param("id") ?? "");
    return bytes ? context.body(bytes) : context.notFound();
  });
  app.put("/", async (context) => {
    files.set(context.req.param("id") ?? "", new Uint8Array(await context.req.arrayBuffer()));
    return context.body(null, 201);
  });
  app.delete("/", (context) => context.body(null, files.delete(context.req.param("id") ?? "") ? 204 : 404));
  return { app, files };
}

function httpStore(app: Hono, token = "secret"): HttpStore {
  return new HttpStore("http://store.test/", { token, fetch: async (request) => await app.fetch(request) });
}

async function withStores(test: (store: ArtifactStore, name: string) => Promise<void>): Promise<void> {
  await test(new MemoryStore(), "memory");
  await withFolder((folder) => test(new FolderStore(folder), "folder"));
  await test(httpStore(artifactServer().app), "http");
}

Deno.test("every store returns what was put, under the SHA-256 of its content", async () => {
  await withStores(async (store, name) => {
    const artifact = sampleArtifact(1);
    const id = await store.put(artifact);
    assert.equal(id, await artifactId(encodeArtifact(artifact)), name);
    const found = await store.get(id);
    assert.deepEqual(encodeArtifact(found!), encodeArtifact(artifact), name);
    assert.equal(await store.has(id), true, name);
  });
});

Deno.test("every store stores an artifact once, and deletes it on request", async () => {
  await withStores(async (store, name) => {
    const id = await store.put(sampleArtifact(1));
    assert.equal(await store.put(sampleArtifact(1)), id, name);
    assert.notEqual(await store.put(sampleArtifact(2)), id, name);
    await store.delete(id);
    assert.equal(await store.has(id), false, name);
    assert.equal(await store.get(id), undefined, name);
    await store.delete(id);
  });
});

Deno.test("every store reports missing artifacts as missing", async () => {
  await withStores(async (store, name) => {
    const id = await artifactId(sampleArtifact(9));
    assert.equal(await store.get(id), undefined, name);
    assert.equal(await store.has(id), false, name);
  });
});

Deno.test("stores preserve any artifact", async () => {
  const artifacts = fc.record({
    kind: fc.string({ minLength: 1 }),
    values: fc.float32Array({ maxLength: 20 }),
    note: fc.string({ unit: "grapheme" }),
  });
  await withStores(async (store) => {
    await fc.assert(
      fc.asyncProperty(artifacts, async ({ kind, values, note }) => {
        const artifact: Artifact = {
          kind,
          tensors: { values: { dtype: "float32", shape: [values.length], data: values } },
          metadata: { note },
        };
        const id = await store.put(artifact);
        assert.deepEqual(encodeArtifact((await store.get(id))!), encodeArtifact(artifact));
      }),
      { numRuns: 20 },
    );
  });
});

Deno.test("results are found by key, and record how an artifact was first made", async () => {
  const stores = async (test: (store: RunStore) => Promise<void>): Promise<void> => {
    await test(new MemoryStore());
    await withFolder((folder) => test(new FolderStore(folder)));
  };
  await stores(async (store) => {
    const [key, other] = [await artifactId(sampleArtifact(3)), await artifactId(sampleArtifact(4))];
    const id = await store.put(sampleArtifact(1));
    assert.equal(await store.result(key), undefined);
    await store.keepResult(key, record("first", id));
    await store.keepResult(other, record("second", id));
    assert.equal((await store.result(key))?.stage, "first");
    assert.equal((await store.result(other))?.stage, "second");
    assert.equal((await store.madeBy(id))?.stage, "first");
    await store.removeResult(other);
    assert.equal(await store.result(other), undefined);
    assert.equal((await store.madeBy(id))?.stage, "first");
  });
});

Deno.test("HttpStore checks received artifacts against their ids", async () => {
  const { app, files } = artifactServer();
  const store = httpStore(app);
  const id = await store.put(sampleArtifact(1));
  files.get(id)![20]! ^= 1;
  const damages: StoreDamage[] = [];
  assert.equal(await store.get(id, { onDamage: (damage) => damages.push(damage) }), undefined);
  assert.equal(damages[0]?.place, `http://store.test/v1/artifacts/${id}`);
});

Deno.test("HttpStore reports why a server refuses, and that a server cannot be reached", async () => {
  const { app } = artifactServer();
  await assert.rejects(httpStore(app, "wrong").put(sampleArtifact(1)), (error) => {
    assert.ok(error instanceof StoreRequestError && error.status === 401);
    assert.match(
      error.message,
      /^Cannot HEAD http:\/\/store\.test\/v1\/artifacts\/\w+: it requires an API key: .*PIXSTAGE_TOKEN$/,
    );
    return true;
  });
  const gone = new HttpStore("http://store.test", { fetch: () => Promise.reject(new TypeError("no route")) });
  await assert.rejects(
    gone.get(await artifactId(sampleArtifact(1))),
    /Cannot reach http:\/\/store\.test: no route; is its server running\?$/,
  );
  assert.throws(() => new HttpStore("ftp://store.test"), InputError);
});
