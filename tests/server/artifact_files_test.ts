import assert from "node:assert/strict";
import { artifactId, encodeArtifact } from "../../artifacts/artifact_file.ts";
import { shardPath } from "../../artifacts/store/folder_layout.ts";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import { ArtifactFiles } from "../../server/artifact_files.ts";
import { noLog } from "../../server/log.ts";
import { StoreQuota } from "../../server/store_quota.ts";
import { sampleArtifact, withFolder } from "../artifacts/store/samples.ts";

Deno.test("an open artifact is read to its end, and one that is removed after the check is absent", () =>
  withFolder(async (folder) => {
    const store = new FolderStore(folder);
    const files = new ArtifactFiles(folder, new StoreQuota(store, { inUse: () => new Set(), log: noLog }));
    const artifact = sampleArtifact(1, 300_000);
    const bytes = encodeArtifact(artifact);
    const id = await artifactId(bytes);
    await store.put(artifact);
    const file = await files.find(id);
    assert.equal(file?.size, bytes.length);
    const content = await files.open(file, 100, bytes.length);
    await Deno.remove(shardPath(folder, "artifacts", id));
    assert.ok(content);
    assert.deepEqual(new Uint8Array(Buffer.concat(await Array.fromAsync(content))), bytes.subarray(100));
    assert.equal(await files.open(file, 0, bytes.length), undefined);
    assert.equal(await files.find(id), undefined);
  }));
