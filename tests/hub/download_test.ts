import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { DownloadProgress } from "../../hub/download.ts";
import { openCheckpoint } from "../../models/checkpoint/checkpoint.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { tinyCheckpoint } from "../models/checkpoint/copies.ts";
import { brokenOff, commitOf, failure, halted } from "./hub_server.ts";
import { MODEL, TRANSFORMER, weightsOf, whenBegun, withHub } from "./with_hub.ts";

Deno.test("downloadFiles() resumes an interrupted file", async () => {
  await withHub(async ({ server, resolve }) => {
    const cut = 200_000;
    let first = true;
    server.intercept = (file, bytes) => {
      if (file !== TRANSFORMER || !first) return undefined;
      first = false;
      return brokenOff(bytes, 0, cut);
    };
    const folder = await resolve();
    const [whole, rest, ...more] = server.requestsFor(TRANSFORMER);
    assert.equal(whole?.range, null);
    assert.match(rest?.range ?? "", /^bytes=\d+-$/);
    assert.ok(Number(/\d+/.exec(rest?.range ?? "")?.[0]) > 0);
    assert.deepEqual(more, []);
    assert.deepEqual(
      readFileSync(join(folder, TRANSFORMER)),
      readFileSync(join(tinyCheckpoint("tiny-alpha-512"), TRANSFORMER)),
    );
  });
});

Deno.test("downloadFiles() resumes after an abort, and requests only the rest", async () => {
  await withHub(async ({ server, resolve, blob, cacheDir }) => {
    server.intercept = (file, bytes) => file === TRANSFORMER ? halted(bytes, 200_000) : undefined;
    const controller = new AbortController();
    whenBegun(blob(TRANSFORMER)).then(() => controller.abort(new Error("enough")));
    await assert.rejects(resolve(MODEL, { signal: controller.signal }), { message: "enough" });
    const snapshot = join(cacheDir, "models--org--tiny/snapshots", commitOf(MODEL, "main"));
    assert.deepEqual(weightsOf(snapshot), []);
    const kept = (await Deno.stat(`${blob(TRANSFORMER)}.incomplete`)).size;
    assert.ok(kept > 0);

    server.intercept = undefined;
    const seen: DownloadProgress[] = [];
    await resolve(MODEL, { onProgress: (event) => seen.push(event) });
    assert.equal(server.requestsFor(TRANSFORMER).at(-1)?.range, `bytes=${kept}-`);
    const of = seen.filter(({ file }) => file === TRANSFORMER);
    assert.ok(of.every(({ received }) => received >= kept));
    assert.equal(of.at(-1)?.received, of.at(-1)?.total);
    assert.equal(seen.at(-1)?.allReceived, seen.at(-1)?.allTotal);
    await assert.rejects(resolve(MODEL, { signal: AbortSignal.abort(new Error("at once")) }), {
      message: "at once",
    });
  });
});

Deno.test("downloadFiles() starts a file again if the server does not support ranges", async () => {
  await withHub(async ({ server, resolve, blob }) => {
    await mkdir(dirname(blob(TRANSFORMER)), { recursive: true });
    const bytes = readFileSync(join(tinyCheckpoint("tiny-alpha-512"), TRANSFORMER));
    await writeFile(`${blob(TRANSFORMER)}.incomplete`, bytes.subarray(0, 1000));
    server.intercept = (file, bytes) => file === TRANSFORMER ? new Response(bytes) : undefined;
    const folder = await resolve();
    assert.deepEqual(server.requestsFor(TRANSFORMER).map(({ range }) => range), ["bytes=1000-"]);
    assert.deepEqual(readFileSync(join(folder, TRANSFORMER)), bytes);
  });
});

Deno.test("downloadFiles() discards the bytes of an earlier attempt if they are wrong", async () => {
  await withHub(async ({ server, resolve, blob }) => {
    await mkdir(dirname(blob(TRANSFORMER)), { recursive: true });
    await writeFile(`${blob(TRANSFORMER)}.incomplete`, new Uint8Array(1000));
    const folder = await resolve();
    assert.deepEqual(server.requestsFor(TRANSFORMER).map(({ range }) => range), ["bytes=1000-", null]);
    assert.ok((await openCheckpoint(await openDiskSource(folder))).components.includes("transformer"));
  });
});

Deno.test("downloadFiles() refuses bytes with a wrong hash, and keeps none of them", async () => {
  for (const bad of [TRANSFORMER, "vae/config.json"]) {
    await withHub(async ({ server, resolve, blob, cacheDir }) => {
      server.intercept = (file, bytes) => {
        if (file !== bad) return undefined;
        const changed = bytes.slice();
        changed[100] = (changed[100] ?? 0) ^ 1;
        return new Response(changed);
      };
      await assert.rejects(resolve(), {
        name: "HubError",
        code: "corrupt",
        message: new RegExp(`hash of ${bad}`),
      });
      assert.equal(server.requestsFor(bad).length, 2);
      assert.ok(!existsSync(blob(bad)) && !existsSync(`${blob(bad)}.incomplete`));
      const snapshot = join(cacheDir, "models--org--tiny/snapshots", commitOf(MODEL, "main"));
      assert.ok(!existsSync(join(snapshot, bad)));
      server.intercept = undefined;
      await resolve();
    });
  }
});

Deno.test("downloadFiles() refuses files that do not fit on the disk, before the first byte", async () => {
  await withHub(async ({ server, resolve }) => {
    await assert.rejects(resolve(), {
      name: "HubError",
      code: "disk_full",
      message: /needs 9 PB, but .*models--org--tiny has [\d.]+ [MGT]B left/,
    });
    assert.equal(server.requestsFor("vae/diffusion_pytorch_model.safetensors").length, 0);
  }, { models: { [MODEL]: { main: tinyCheckpoint("tiny-alpha-512") } }, sizes: { [TRANSFORMER]: 9e15 } });
});

Deno.test("downloadFiles() downloads several files at a time, and the first failure stops the others", async () => {
  await withHub(async ({ server, resolve, cacheDir }) => {
    const running = new Set<string>();
    let most = 0;
    server.intercept = async (file) => {
      running.add(file);
      most = Math.max(most, running.size);
      await new Promise((answer) => setTimeout(answer, 20));
      running.delete(file);
      return undefined;
    };
    await resolve(MODEL, { concurrency: 2 });
    assert.equal(most, 2);
    await rm(join(cacheDir, "models--org--tiny"), { recursive: true });
    const before = server.requestsFor("model_index.json").length;
    const gone = "scheduler/scheduler_config.json";
    server.intercept = (file, bytes) => {
      return file === gone ? failure(404, "EntryNotFound") : halted(bytes, 10);
    };
    const failed = { code: "file_not_found", message: new RegExp(gone) };
    await assert.rejects(resolve(MODEL, { concurrency: 3 }), failed);
    assert.equal(
      server.requestsFor("model_index.json").length,
      before,
      "downloads that had not started do not start",
    );
  });
});
