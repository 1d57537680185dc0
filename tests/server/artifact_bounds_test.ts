import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DEFAULT_LIMITS } from "../../server/limits.ts";
import { type Serving, serving } from "./serving.ts";

/**
 * Returns a safetensors file with a header of the given size, padded with spaces, and data of the given size.
 */
function safetensors(header: object, headerBytes?: number, dataBytes = 0): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify(header);
  const json = new TextEncoder().encode(text.padEnd(headerBytes ?? text.length));
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

/** Returns a file with a tensor `image`. */
function image(dtype: string, shape: readonly number[], bytes: number): Uint8Array<ArrayBuffer> {
  return safetensors({ image: { dtype, shape, data_offsets: [0, bytes] } }, undefined, bytes);
}

async function put(server: Serving, file: Uint8Array<ArrayBuffer>): Promise<{ id: string; reply: Response }> {
  const id = createHash("sha256").update(file).digest("hex");
  return { id, reply: await server.ask(`/v1/artifacts/${id}`, { method: "PUT", body: file }) };
}

async function codeOf(reply: Response): Promise<[number, string | undefined]> {
  return [reply.status, (await reply.json()).error?.code];
}

Deno.test("the size of an artifact's header is limited, and a larger one is not parsed", async () => {
  const { maxHeaderBytes } = DEFAULT_LIMITS;
  await using server = await serving({ models: [] });
  assert.deepEqual(await codeOf((await put(server, safetensors({}, maxHeaderBytes))).reply), [
    201,
    undefined,
  ]);
  const { reply, id } = await put(server, safetensors({}, maxHeaderBytes + 1));
  assert.deepEqual(await codeOf(reply), [413, "too_large"]);
  assert.equal((await server.ask(`/v1/artifacts/${id}`, { method: "HEAD" })).status, 404);
  // A file in another format can start with any number.
  const noise = new TextEncoder().encode("no safetensors file at all");
  assert.deepEqual(await codeOf((await put(server, noise)).reply), [400, "not_safetensors"]);
  const nested = new TextEncoder().encode("[".repeat(100_000));
  const deep = new Uint8Array(8 + nested.length);
  new DataView(deep.buffer).setBigUint64(0, BigInt(nested.length), true);
  deep.set(nested, 8);
  assert.deepEqual(await codeOf((await put(server, deep)).reply), [400, "not_safetensors"]);
});

Deno.test("an artifact is accepted with any Content-Type", async () => {
  await using server = await serving({ models: [] });
  for (const [index, type] of ["application/json", "application/problem+json", "text/plain"].entries()) {
    const file = image("U8", [100 + index], 100 + index);
    const id = createHash("sha256").update(file).digest("hex");
    const headers = { "content-type": type };
    const reply = await server.ask(`/v1/artifacts/${id}`, { method: "PUT", body: file, headers });
    assert.deepEqual(await codeOf(reply), [201, undefined], type);
    assert.deepEqual(await (await server.ask(`/v1/artifacts/${id}`)).bytes(), file);
  }
});

Deno.test("the size of an artifact is limited", async () => {
  const file = image("U8", [100], 100);
  await using server = await serving({ models: [], limits: { maxArtifactBytes: file.length } });
  assert.deepEqual(await codeOf((await put(server, file)).reply), [201, undefined]);
  assert.deepEqual(await codeOf((await put(server, image("U8", [101], 101))).reply), [413, "too_large"]);
});

Deno.test("pictures with a wrong shape or size are refused, and the largest allowed one is shown", async () => {
  await using server = await serving({ models: [], limits: { maxPicturePixels: 16 * 8 } });
  const artifacts: [Uint8Array<ArrayBuffer>, [number, string | undefined]][] = [
    [image("F32", [1, 3, 8, 17], 3 * 8 * 17 * 4), [413, "too_large"]],
    [image("F16", [1, 3, 8, 8], 3 * 8 * 8 * 2), [400, "invalid_artifact"]],
    [image("F32", [1, 4, 8, 8], 4 * 8 * 8 * 4), [400, "invalid_artifact"]],
    [image("F32", [3, 8, 8], 3 * 8 * 8 * 4), [400, "invalid_artifact"]],
    [image("F32", [], 4), [400, "invalid_artifact"]],
    [image("F32", [1, 3, 0, 8], 0), [400, "invalid_artifact"]],
    [image("F32", [0, 3, 8, 8], 0), [404, "artifact_not_found"]],
    [safetensors({ latents: { dtype: "F32", shape: [0], data_offsets: [0, 0] } }), [
      404,
      "artifact_not_found",
    ]],
    [safetensors({ __metadata__: { pixstage: "{" } }), [400, "invalid_artifact"]],
  ];
  for (const [file, expected] of artifacts) {
    const { id, reply } = await put(server, file);
    assert.equal(reply.status, 201);
    await reply.body?.cancel();
    for (const query of ["", "?thumbnail=16", "?format=webp", "?format=jpeg"]) {
      const shown = await server.ask(`/v1/artifacts/${id}/images/0${query}`);
      assert.deepEqual(await codeOf(shown), expected, new TextDecoder().decode(file.subarray(8, 120)));
    }
  }
  const { id } = await put(server, image("F32", [2, 3, 8, 16], 2 * 3 * 8 * 16 * 4));
  const shown = await server.ask(`/v1/artifacts/${id}/images/1`);
  assert.equal(shown.status, 200);
  await shown.body?.cancel();
  assert.deepEqual(await codeOf(await server.ask(`/v1/artifacts/${id}/images/2`)), [
    404,
    "artifact_not_found",
  ]);
});

Deno.test("pictures beyond the limit of waiting ones are refused with a request to try again later", async () => {
  await using server = await serving({ models: [], limits: { maxPictures: 3 } });
  const { id } = await put(server, image("F32", [1, 3, 512, 512], 3 * 512 * 512 * 4));
  const replies = await Promise.all(
    Array.from(
      { length: 4 },
      (_, index) => server.ask(`/v1/artifacts/${id}/images/0?quality=${index}&format=webp`),
    ),
  );
  const late = replies.find(({ status }) => status === 429)!;
  assert.equal(late.headers.get("retry-after"), "1");
  assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 200, 200, 429]);
  for (const reply of replies) await reply.body?.cancel();
});

Deno.test("an artifact whose record is damaged is named by its id, not by a path of the server", async () => {
  await using server = await serving();
  const { id } = await put(server, safetensors({ __metadata__: { pixstage: "zz" } }));
  const requests: [string, object?][] = [
    [`/v1/artifacts/${id}/images/0`],
    ["/v1/jobs", { resume: { artifact: id } }],
    ["/v1/stages/decode", { parameters: { model: "tiny" }, inputs: { latents: id } }],
  ];
  for (const [path, body] of requests) {
    const reply = body ? await server.post(path, body) : await server.ask(path);
    const text = await reply.text();
    assert.equal(reply.status, 400, text);
    assert(text.includes(id) && !text.includes(server.store), text);
  }
});
