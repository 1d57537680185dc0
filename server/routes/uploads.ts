/**
 * `POST /v1/pictures`: uploads picture files into the store, for jobs that start from them.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { MEDIA_TYPES } from "../../images/picture.ts";
import { ApiError } from "../api_error.ts";
import type { ServerContext } from "../context.ts";
import { readUpload } from "../pictures/read_upload.ts";
import { router } from "../router.ts";
import { faults, json } from "./responses.ts";

/** The path of the route. */
export const UPLOADS_PATH = "/v1/pictures";

const file = z.string().openapi({ format: "binary" });

const uploadSchema = z.object({
  artifact: z.string().openapi({ description: "The value for `image` or `mask` in a job's request." }),
  width: z.int(),
  height: z.int(),
  transparent: z.string().nullable().openapi({
    description: "The id of a mask for the transparent area of the picture; null if it is opaque.",
  }),
}).openapi("Upload");

const route = createRoute({
  method: "post",
  path: UPLOADS_PATH,
  operationId: "uploadPicture",
  tags: ["Artifacts"],
  summary: "Uploads a picture file to start from or to use as a mask",
  description: "The body is the file. Its Exif orientation is applied.",
  request: {
    body: {
      required: true,
      content: Object.fromEntries(Object.values(MEDIA_TYPES).map((type) => [type, { schema: file }])),
    },
  },
  responses: { 201: json(uploadSchema, "The picture is in the store."), ...faults },
});

/** Creates the upload route. */
export function uploadRoutes({ pictures }: ServerContext) {
  return router().openapi(route, async (context) => {
    const bytes = new Uint8Array(await context.req.arrayBuffer());
    if (bytes.length === 0) {
      throw new ApiError("empty_body", "Cannot store the picture because the request has no body");
    }
    return context.json(await readUpload(pictures, bytes), 201);
  });
}
