/**
 * Routes of artifacts, by id: upload, existence check, download of the whole or a range, and download as
 * pictures.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { sha256Schema } from "../../artifacts/store/stage_record.ts";
import { MEDIA_TYPES } from "../../images/picture.ts";
import { ApiError } from "../api_error.ts";
import { requestedRange } from "../byte_range.ts";
import type { ServerContext } from "../context.ts";
import { router } from "../router.ts";
import { faults, json } from "./responses.ts";

const tags = ["Artifacts"];
const id = sha256Schema.describe("SHA-256 of the artifact's content, in hexadecimal.");
const binary = z.string().openapi({ format: "binary" });
const FOREVER = "private, max-age=31536000, immutable";

const getRoute = createRoute({
  method: "get",
  path: "/v1/artifacts/{id}",
  operationId: "getArtifact",
  tags,
  summary: "Gets an artifact, or a byte range of it, as a safetensors file",
  description: "`HEAD` checks whether it exists. The content of an id never changes.",
  request: { params: z.object({ id }) },
  responses: {
    200: { description: "The file.", content: { "application/octet-stream": { schema: binary } } },
    206: { description: "The requested range.", content: { "application/octet-stream": { schema: binary } } },
    304: { description: "The client already has it." },
    416: { description: "The range is outside of the file." },
    ...faults,
  },
});

const putRoute = createRoute({
  method: "put",
  path: "/v1/artifacts/{id}",
  operationId: "putArtifact",
  tags,
  summary: "Uploads an artifact: a safetensors file whose SHA-256 is the id",
  request: {
    params: z.object({ id }),
    body: { required: true, content: { "application/octet-stream": { schema: binary } } },
  },
  responses: {
    200: json(z.object({ id }), "The artifact already existed."),
    201: json(z.object({ id }), "The artifact was stored."),
    409: faults[400],
    ...faults,
  },
});

const pictureRoute = createRoute({
  method: "get",
  path: "/v1/artifacts/{id}/images/{image}",
  operationId: "getPicture",
  tags,
  summary: "Gets a picture of an image artifact as a file with its generation parameters",
  request: {
    params: z.object({
      id,
      image: z.string().regex(/^\d{1,3}$/, "The number of a picture must be a whole number from 0").transform(
        Number,
      ).openapi({
        description: "The number of the picture in the artifact, counted from 0.",
        example: "0",
      }),
    }),
    query: z.object({
      format: z.enum(["png", "jpeg", "webp"]).default("png"),
      quality: z.coerce.number().int().min(0).max(100).optional(),
      thumbnail: z.coerce.number().int().min(16).max(1024).optional().openapi({
        description:
          "Shrinks the picture so that its longer side still has at least this many pixels. The file has no parameters.",
      }),
      download: z.string().regex(/^[\p{L}\p{N}._ -]{1,100}$/u).optional().openapi({
        description: "The file name for downloads in browsers.",
      }),
    }),
  },
  responses: {
    200: {
      description: "The file.",
      content: Object.fromEntries(Object.values(MEDIA_TYPES).map((type) => [type, { schema: binary }])),
    },
    304: { description: "The client already has it." },
    ...faults,
  },
});

/** Creates the artifact routes. */
export function artifactRoutes({ artifacts, pictures, limits }: ServerContext) {
  const missing = (name: string): ApiError =>
    new ApiError("artifact_not_found", `There is no artifact ${name}`, { param: "id" });
  return router()
    .openapi(getRoute, async (context) => {
      const { id } = context.req.valid("param");
      const file = await artifacts.find(id);
      if (!file) throw missing(id);
      const headers = {
        "accept-ranges": "bytes",
        "cache-control": FOREVER,
        "content-type": "application/octet-stream",
        etag: `"${id}"`,
      };
      if (isCurrent(context.req.header("if-none-match"), id)) {
        return new Response(null, { status: 304, headers });
      }
      const range = requestedRange(context.req.raw.headers, file.size, `"${id}"`);
      if (range === "unsatisfiable") {
        return new Response(null, { status: 416, headers: { "content-range": `bytes */${file.size}` } });
      }
      const { start, end } = range ?? { start: 0, end: file.size };
      const isHead = context.req.method === "HEAD";
      const content = isHead ? undefined : await artifacts.open(file, start, end);
      if (!content && !isHead) throw missing(id);
      return new Response(content ? ReadableStream.from(content) : null, {
        status: range ? 206 : 200,
        headers: {
          ...headers,
          "content-length": String(end - start),
          ...(range ? { "content-range": `bytes ${start}-${end - 1}/${file.size}` } : {}),
        },
      });
    })
    .openapi(putRoute, async (context) => {
      const { id } = context.req.valid("param");
      const { body } = context.req.raw;
      if (!body) {
        throw new ApiError("empty_body", "Cannot store the artifact because the request has no body");
      }
      const isNew = await artifacts.receive(id, body, limits);
      return isNew ? context.json({ id }, 201) : context.json({ id }, 200);
    })
    .openapi(pictureRoute, async (context) => {
      const { id, image } = context.req.valid("param");
      const { format, quality, thumbnail, download } = context.req.valid("query");
      const tag = `${id}-${image}-${format}-${quality ?? ""}-${thumbnail ?? ""}`;
      const headers = {
        "cache-control": FOREVER,
        "content-type": MEDIA_TYPES[format],
        etag: `"${tag}"`,
        ...(download === undefined
          ? {}
          : { "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(download)}` }),
      };
      if (isCurrent(context.req.header("if-none-match"), tag)) {
        return new Response(null, { status: 304, headers });
      }
      const file = await pictures.write({ artifact: id, image, format, quality, atLeast: thumbnail });
      if (!file) throw missing(`${id} with a picture ${image}`);
      return new Response(file, { headers });
    });
}

/** Whether the client's `If-None-Match` matches the current content; `*` matches anything. */
function isCurrent(header: string | undefined, tag: string): boolean {
  return header?.trim() === "*" ||
    header?.split(",").some((given) => given.trim().replace(/^W\//, "") === `"${tag}"`) === true;
}
