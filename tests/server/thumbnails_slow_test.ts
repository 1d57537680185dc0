import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { shardPath } from "../../artifacts/store/folder_layout.ts";
import { inFolder } from "../cli/run_cli.ts";
import { ServerProcess } from "./server_process.ts";

const IMAGES = 10;
const SIDE = 2048;

/** Bytes of all pictures as float32. One picture takes a tenth, and some more until garbage collection. */
const ALL_BYTES = IMAGES * 3 * SIDE * SIDE * 4;

/** Writes an artifact of grey pictures into a store: a sparse file of half a gigabyte. */
async function writeArtifact(store: string): Promise<string> {
  const image = { dtype: "F32", shape: [IMAGES, 3, SIDE, SIDE], data_offsets: [0, ALL_BYTES] };
  const json = new TextEncoder().encode(JSON.stringify({ image }));
  const head = new Uint8Array(8 + json.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(json.length), true);
  head.set(json, 8);
  const hash = createHash("sha256").update(head);
  const zeros = new Uint8Array(1 << 20);
  for (let left = ALL_BYTES; left > 0; left -= zeros.length) {
    hash.update(zeros.subarray(0, Math.min(left, zeros.length)));
  }
  const id = hash.digest("hex");
  const path = shardPath(store, "artifacts", id);
  await mkdir(dirname(path), { recursive: true });
  await Deno.writeFile(path, head);
  await Deno.truncate(path, head.length + ALL_BYTES);
  return id;
}

async function resident(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]);
}

Deno.test("concurrent thumbnails of a large artifact need the memory of only a few", () =>
  inFolder(async (store) => {
    const id = await writeArtifact(store);
    await using server = await new ServerProcess({ store }).listens();
    const { url } = server;
    const before = await resident(url);
    let peak = before;
    let isOver = false;
    const watch = (async () => {
      for (; !isOver; await new Promise((resolve) => setTimeout(resolve, 20))) {
        peak = Math.max(peak, await resident(url));
      }
    })();
    const replies = await Promise.all(
      Array.from({ length: 8 }, async (_, image) => {
        const reply = await fetch(`${url}/v1/artifacts/${id}/images/${image}?thumbnail=256`);
        return { status: reply.status, bytes: (await reply.bytes()).length };
      }),
    );
    isOver = true;
    await watch;
    assert(replies.every(({ status, bytes }) => status === 200 && bytes > 100), JSON.stringify(replies));
    const growth = peak - before;
    assert(growth < ALL_BYTES, `resident memory grew by ${growth} bytes`);
  }));
