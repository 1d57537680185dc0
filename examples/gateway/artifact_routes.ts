/**
 * Streams artifacts between clients and a store in S3, without buffering them.
 *
 * @module
 */

import type { Context } from "hono";
import { Hono } from "hono";
import { type S3Store, uploadHeaders } from "../../artifacts/store/s3_store.ts";
import { sha256Schema } from "../../artifacts/store/stage_record.ts";
import { ApiError } from "../../server/api_error.ts";
import type { Limits } from "../../server/limits.ts";

/** Number of seconds within which a request to S3 must start. */
const SIGNED_SECONDS = 60;
const FOREVER = "private, max-age=31536000, immutable";
/** Headers of S3's responses that the gateway passes on to clients. */
const KEPT_HEADERS = ["content-length", "content-range", "accept-ranges"];

/** Creates the artifact routes of a gateway that has access to the store. */
export function artifactRoutes(store: S3Store, limits: Pick<Limits, "maxArtifactBytes">): Hono {
  return new Hono()
    .get("/v1/artifacts/:id", async (context) => {
      const id = idOf(context);
      const headers = {
        etag: `"${id}"`,
        "cache-control": FOREVER,
        "content-type": "application/octet-stream",
      };
      if (context.req.header("if-none-match")?.includes(`"${id}"`)) {
        return new Response(null, { status: 304, headers });
      }
      const range = context.req.header("range");
      const url = await store.signedUrl(id, SIGNED_SECONDS);
      const answer = await fetch(url, range === undefined ? {} : { headers: { range } });
      if (answer.status === 404) throw await missing(id, answer);
      if (!answer.ok && answer.status !== 416) throw await refused(answer);
      const told = KEPT_HEADERS.flatMap((name) => {
        const value = answer.headers.get(name);
        return value === null ? [] : [[name, value] as const];
      });
      return new Response(answer.body, {
        status: answer.status,
        headers: { ...headers, ...Object.fromEntries(told) },
      });
    })
    .put("/v1/artifacts/:id", async (context) => {
      const id = idOf(context);
      const { body } = context.req.raw;
      const bytes = Number(context.req.header("content-length") ?? "");
      if (!body || !(bytes > 0)) {
        throw new ApiError(
          "empty_body",
          "Cannot store the artifact because the request lacks the header Content-Length",
        );
      }
      if (bytes > limits.maxArtifactBytes) {
        const most = limits.maxArtifactBytes;
        throw new ApiError(
          "too_large",
          `Cannot store the artifact because it must have at most ${most} bytes`,
        );
      }
      if (await store.has(id)) {
        await body.cancel();
        return context.json({ id }, 200);
      }
      await upload(store, id, body, bytes);
      return context.json({ id }, 201);
    });
}

/** Uploads an artifact to the store, and deletes it again if its content does not match its id. */
async function upload(
  store: S3Store,
  id: string,
  body: ReadableStream<Uint8Array>,
  bytes: number,
): Promise<void> {
  const digest = new crypto.DigestStream("SHA-256");
  const hash = digest.getWriter();
  const hashed = new TransformStream<Uint8Array, Uint8Array>({
    async transform(chunk, controller) {
      await hash.write(chunk);
      controller.enqueue(chunk);
    },
    flush: () => hash.close(),
  });
  const counted = new FixedLengthStream(bytes);
  const passing = body.pipeThrough(hashed).pipeTo(counted.writable);
  const url = await store.signedUrl(id, SIGNED_SECONDS, "PUT");
  const headers = { ...uploadHeaders(id), "content-type": "application/octet-stream" };
  const [answer] = await Promise.all([
    fetch(url, { method: "PUT", headers, body: counted.readable }),
    passing,
  ]);
  const found = new Uint8Array(await digest.digest).toHex();
  if (found !== id) {
    await answer.body?.cancel();
    await store.delete(id);
    const message = `Cannot store the artifact under this id because its SHA-256 is ${found}`;
    throw new ApiError("hash_mismatch", message, { param: "id" });
  }
  if (!answer.ok) throw await refused(answer);
  await answer.body?.cancel();
  let fault: string | undefined;
  await store.outline(id, { onDamage: ({ reason }) => fault = reason });
  if (fault === undefined) return;
  await store.delete(id);
  throw new ApiError("not_safetensors", "Cannot store the artifact because it is not a safetensors file");
}

function idOf(context: Context): string {
  const id = sha256Schema.safeParse(context.req.param("id")).data;
  if (id !== undefined) return id;
  throw new ApiError("invalid_value", "id: It must be 64 hexadecimal digits", { param: "id" });
}

async function missing(id: string, answer: Response): Promise<ApiError> {
  await answer.body?.cancel();
  return new ApiError("artifact_not_found", `There is no artifact ${id}`, { param: "id" });
}

async function refused(answer: Response): Promise<ApiError> {
  await answer.body?.cancel();
  return new ApiError("store_unavailable", `The store in S3 answered ${answer.status}`);
}
