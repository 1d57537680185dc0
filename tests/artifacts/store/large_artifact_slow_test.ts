import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { shardPath } from "../../../artifacts/store/folder_layout.ts";
import { FolderStore } from "../../../artifacts/store/folder_store.ts";
import { EventLoopWatch } from "../../../server/event_loop_watch.ts";
import { inFolder } from "../../cli/run_cli.ts";

const BYTES = 300 << 20;

Deno.test("a large artifact is read and checked against its id without blocking the event loop", () =>
  inFolder(async (folder) => {
    // 1. Zeros take no space on disk. The length of the header keeps the data aligned.
    const header = { latents: { dtype: "F32", shape: [BYTES / 4], data_offsets: [0, BYTES] } };
    const json = new TextEncoder().encode(JSON.stringify(header).padEnd(88));
    const head = new Uint8Array(8 + json.length);
    new DataView(head.buffer).setBigUint64(0, BigInt(json.length), true);
    head.set(json, 8);
    const hash = createHash("sha256").update(head);
    const zeros = new Uint8Array(1 << 20);
    for (let done = 0; done < BYTES; done += zeros.length) hash.update(zeros);
    const id = hash.digest("hex");
    const path = shardPath(folder, "artifacts", id);
    await mkdir(dirname(path), { recursive: true });
    await Deno.writeFile(path, head);
    await Deno.truncate(path, head.length + BYTES);

    // 2. Read it.
    const watch = new EventLoopWatch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    watch.take();
    const artifact = await new FolderStore(folder).get(id);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { longest, busiest } = watch.take();
    watch.close();
    assert.deepEqual(artifact?.tensors["latents"]?.shape, [BYTES / 4]);
    assert(busiest < 0.05, `${busiest} s of ${longest} s`);

    // 3. A damaged artifact is detected.
    const file = await Deno.open(path, { write: true });
    await file.seek(head.length + BYTES / 2, Deno.SeekMode.Start);
    await file.write(Uint8Array.of(1));
    file.close();
    const damages: string[] = [];
    const onDamage = ({ reason }: { readonly reason: string }): unknown => damages.push(reason);
    assert.equal(await new FolderStore(folder).get(id, { onDamage }), undefined);
    assert.match(damages.join(), /its content has the SHA-256/);
  }));
