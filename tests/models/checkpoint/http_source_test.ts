import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import { GivenModels } from "../../../models/checkpoint/given_models.ts";
import { openHttpSource } from "../../../models/checkpoint/http_source.ts";
import { parseFilePart } from "../../../runtime/file_part.ts";
import { byteRange } from "../../../server/byte_range.ts";
import { goldenPath } from "../../goldens.ts";

const FOLDER = goldenPath("checkpoints/tiny-alpha-512");

/** Sizes of the checkpoint's files. */
async function sizes(): Promise<Record<string, number>> {
  const names = await readdir(FOLDER, { recursive: true });
  const found = await Promise.all(names.map(async (name) => [name, await stat(join(FOLDER, name))] as const));
  return Object.fromEntries(found.filter(([, one]) => one.isFile()).map(([name, { size }]) => [name, size]));
}

/** Serves the checkpoint, with or without ranges, and records the requests. */
function serve(options: { ranges: boolean }): { url: string; asked: string[] } & AsyncDisposable {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const path = new URL(request.url).pathname.slice("/model/".length);
    asked.push(`${path} ${request.headers.get("range") ?? "whole"}`);
    const bytes = await readFile(join(FOLDER, path)).catch(() => undefined);
    if (!bytes) return new Response(null, { status: 404 });
    const range = options.ranges
      ? byteRange(request.headers.get("range") ?? undefined, bytes.length)
      : undefined;
    if (typeof range !== "object") return new Response(Uint8Array.from(bytes));
    return new Response(Uint8Array.from(bytes.subarray(range.start, range.end)), { status: 206 });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/model`,
    asked,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
    },
  };
}

Deno.test("a checkpoint on an HTTP server equals the checkpoint on disk", async () => {
  await using served = serve({ ranges: true });
  const models = new GivenModels({ tiny: openHttpSource(served.url, { files: await sizes() }) });
  const there = await (await models.open({ model: "tiny" })).component("transformer");
  const disk = new GivenModels({ tiny: await openDiskSource(FOLDER) });
  const here = await disk.component({ model: "tiny" }, "transformer");
  assert.deepEqual(there.config, here.config);
  const [far, near] = [await there.weights(), await here.weights()];
  assert.deepEqual(far.names, near.names);
  const name = "transformer_blocks.0.attn1.to_q.weight";
  assert.deepEqual(await far.read(name), await near.read(name));

  const { file, folder, offset, length } = far.locate(name);
  const { start, end } = parseFilePart(file);
  assert.deepEqual([folder, offset, length], [`${served.url}/`, 0, end - start]);
  assert.equal(start, near.locate(name).offset);
});

Deno.test("only the needed parts of a checkpoint on an HTTP server are fetched", async () => {
  await using served = serve({ ranges: true });
  const source = openHttpSource(served.url, { files: await sizes() });
  const component = await new GivenModels({ tiny: source }).component({ model: "tiny" }, "vae");
  await component.weights();
  assert.ok(
    served.asked.every((line) => /^(model_index|vae\/config|pixstage)\.json whole$|bytes=/.test(line)),
  );
});

Deno.test("a server without ranges, a missing file and an unknown model are reported", async () => {
  await using served = serve({ ranges: false });
  const files = await sizes();
  const source = openHttpSource(served.url, { files: { ...files, "gone.json": 3 } });
  await assert.rejects(source.readBytes("model_index.json", 0, 4), { name: "FetchError", message: /Range/ });
  await assert.rejects(source.readText("gone.json"), { name: "FetchError", message: /answered 404/ });
  await assert.rejects(source.size("other.json"), { name: "CheckpointError", message: /other\.json/ });
  const models = new GivenModels({ tiny: source });
  await assert.rejects(models.open({ model: "tinny" }), { message: /"tinny": available are tiny/ });
});
