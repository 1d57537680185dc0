import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { artifactId } from "../../../artifacts/artifact_file.ts";
import {
  collectGarbage,
  removeFault,
  type StoreFault,
  verifyStore,
} from "../../../artifacts/store/folder_maintenance.ts";
import { partialPath, shardPath } from "../../../artifacts/store/folder_layout.ts";
import { FolderStore } from "../../../artifacts/store/folder_store.ts";
import type { StoreDamage } from "../../../artifacts/store/store.ts";
import { record, sampleArtifact, withFolder } from "./samples.ts";
import { seededRandom } from "../../random.ts";

/** Makes a store with some artifacts and their records. */
async function filledStore(folder: string, count: number): Promise<{ store: FolderStore; ids: string[] }> {
  const store = new FolderStore(folder);
  const ids: string[] = [];
  for (let seed = 0; seed < count; seed++) {
    const id = await store.put(sampleArtifact(seed));
    await store.keepResult(await artifactId(sampleArtifact(1000 + seed)), record("toy", id));
    ids.push(id);
  }
  return { store, ids };
}

/** Returns the damage that `verify` finds, by path. */
async function faults(store: FolderStore): Promise<Map<string, StoreFault>> {
  const found = await Array.fromAsync(verifyStore(store));
  return new Map(found.map((fault) => [fault.path, fault]));
}

/** Returns the id of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), { args: ["--version"], stdout: "null" }).spawn();
  await child.status;
  return child.pid;
}

Deno.test("verifyStore() finds no faults in an intact store", async () => {
  await withFolder(async (folder) => {
    const { store } = await filledStore(folder, 5);
    assert.equal((await faults(store)).size, 0);
  });
});

Deno.test("verifyStore() finds every flipped bit, in artifacts and in records", async () => {
  await withFolder(async (folder) => {
    const { store, ids } = await filledStore(folder, 12);
    const random = seededRandom();
    const flipped = new Set<string>();
    for (const [index, id] of ids.entries()) {
      const key = await artifactId(sampleArtifact(1000 + index));
      const path = index % 3 === 0
        ? shardPath(folder, "artifacts", id)
        : index % 3 === 1
        ? shardPath(folder, "results", key)
        : shardPath(folder, "makers", id);
      const bytes = await Deno.readFile(path);
      const bit = Math.floor(random() * bytes.length * 8);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      await Deno.writeFile(path, bytes);
      flipped.add(path);
    }
    assert.deepEqual(new Set((await faults(store)).keys()), flipped);
  });
});

Deno.test("verifyStore() finds truncated and empty files, wrong names, and leftovers of crashed writers", async () => {
  await withFolder(async (folder) => {
    const { store, ids } = await filledStore(folder, 4);
    const path = (index: number): string => shardPath(folder, "artifacts", ids[index]!);
    await Deno.truncate(path(0), 100);
    await Deno.truncate(path(1), 0);
    const stray = join(dirname(path(2)), "notes.txt");
    await Deno.writeTextFile(stray, "mine");
    const alive = partialPath(folder);
    await Deno.mkdir(dirname(alive), { recursive: true });
    await Deno.writeTextFile(alive, "half");
    const dead = alive.replace(`-${Deno.pid}-`, `-${await deadPid()}-`);
    await Deno.writeTextFile(dead, "half");
    const elsewhere = join(dirname(alive), `another-host-1-${crypto.randomUUID()}`);
    await Deno.writeTextFile(elsewhere, "half");
    assert.deepEqual([...(await faults(store)).keys()].sort(), [path(0), path(1), stray, dead].sort());
    const old = new Date(Date.now() - 25 * 3600 * 1000);
    await Deno.utime(elsewhere, old, old);
    assert.equal((await faults(store)).get(elsewhere)?.what, "leftover");
    for (const fault of (await faults(store)).values()) await removeFault(fault);
    assert.equal((await faults(store)).size, 0);
    assert.deepEqual((await Array.fromAsync(store.list())).map(({ id }) => id).sort(), ids.slice(2).sort());
  });
});

Deno.test("FolderStore treats a damaged artifact as absent, reports it, and replaces it when it is put again", async () => {
  await withFolder(async (folder) => {
    const { store, ids } = await filledStore(folder, 1);
    const path = shardPath(folder, "artifacts", ids[0]!);
    const whole = await Deno.readFile(path);
    for (
      const harm of [(bytes: Uint8Array) => bytes.with(700, 3), (bytes: Uint8Array) => bytes.slice(0, 90)]
    ) {
      await Deno.writeFile(path, new Uint8Array(harm(whole)));
      const damages: StoreDamage[] = [];
      assert.equal(await store.get(ids[0]!, { onDamage: (damage) => damages.push(damage) }), undefined);
      assert.equal(damages[0]?.place, path);
      assert.equal(await store.put(sampleArtifact(0)), ids[0]);
      assert.deepEqual(await Deno.readFile(path), whole);
      assert.ok(await store.get(ids[0]!));
    }
  });
});

Deno.test("FolderStore treats a damaged record as absent, and reports it", async () => {
  await withFolder(async (folder) => {
    const { store, ids } = await filledStore(folder, 1);
    const key = await artifactId(sampleArtifact(1000));
    await Deno.writeTextFile(shardPath(folder, "results", key), "{");
    const damages: StoreDamage[] = [];
    const onDamage = (damage: StoreDamage): unknown => damages.push(damage);
    assert.equal(await store.result(key, { onDamage }), undefined);
    assert.equal(await store.madeBy(ids[0]!), undefined);
    assert.equal(damages[0]?.what, "record");
  });
});

Deno.test("collectGarbage() removes the least recently used files until the rest fits", async () => {
  await withFolder(async (folder) => {
    const { store, ids } = await filledStore(folder, 6);
    for (const [index, id] of ids.entries()) {
      const used = new Date(Date.now() - (10 - index) * 3600_000);
      await Deno.utime(shardPath(folder, "artifacts", id), used, used);
    }
    // Reading counts as use.
    await store.get(ids[0]!);
    const { left: all } = await collectGarbage(store, Infinity);
    const [one] = await Array.fromAsync(store.list());
    const most = all.bytes - 2 * one!.bytes + 1;
    const { left } = await collectGarbage(store, most);
    const kept = new Set((await Array.fromAsync(store.list())).map(({ id }) => id));
    assert.ok(left.bytes <= most);
    assert.deepEqual(kept, new Set([0, 3, 4, 5].map((index) => ids[index]!)));
    const { left: nothing } = await collectGarbage(store, 0);
    assert.deepEqual(nothing, { files: 0, bytes: 0 });
  });
});

Deno.test("collectGarbage() keeps a file that is used after it was listed", async () => {
  await withFolder(async (folder) => {
    const { store, ids } = await filledStore(folder, 2);
    const [used, unused] = ids.map((id) => shardPath(folder, "artifacts", id));
    const before = new Date(Date.now() - 3600_000);
    for (const path of [used!, unused!]) await Deno.utime(path, before, before);
    const { left } = await collectGarbage(store, 0, {
      isNeeded: ({ path }) => {
        if (path === used) Deno.utimeSync(path, new Date(), new Date());
        return false;
      },
    });
    assert.deepEqual((await Array.fromAsync(store.list())).map(({ id }) => id), [ids[0]]);
    assert.equal(left.files, 1);
  });
});

Deno.test("the record of an artifact's maker is used with the result, and is written again after it was removed", async () => {
  await withFolder(async (folder) => {
    const { store, ids } = await filledStore(folder, 2);
    const made = await store.madeBy(ids[0]!);
    const key = await artifactId(sampleArtifact(1000));
    const maker = shardPath(folder, "makers", ids[0]!);
    const before = new Date(Date.now() - 3600_000);
    await Deno.utime(maker, before, before);
    await store.result(key);
    assert(Date.now() - (await Deno.stat(maker)).mtime!.getTime() < 60_000);
    await Deno.remove(maker);
    assert.deepEqual(await store.result(key), made);
    assert.deepEqual(await store.madeBy(ids[0]!), made);
  });
});
