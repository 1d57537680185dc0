/**
 * `POST /v1/images/edits`, compatible with clients of the OpenAI API.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { invalidRequest } from "../api_error.ts";
import type { ServerContext } from "../context.ts";
import type { RequestPictures } from "../job_graphs.ts";
import type { ReadPicture } from "../pictures/picture_order.ts";
import { readUpload } from "../pictures/read_upload.ts";
import { router } from "../router.ts";
import { readEditForm } from "../schemas/edit_form.ts";
import { readForm } from "../schemas/read_form.ts";
import { editRequestSchema, imagesResponseSchema, settleImageRequest } from "../schemas/image_request.ts";
import { answerPictures } from "./images.ts";
import { faults } from "./responses.ts";

/** The path of the route. */
export const EDITS_PATH = "/v1/images/edits";

const file = z.string().openapi({ format: "binary" });

const formSchema = editRequestSchema.extend({
  image: file.openapi({ description: "The picture to start from: PNG, JPEG or WebP." }),
  mask: file.optional().openapi({
    description:
      "Marks the area to repaint: the transparent area of this picture, or its white area if it is opaque. Without " +
      "a mask, the transparent area of the picture is repainted, or all of it if it is opaque.",
  }),
}).openapi("ImageEditRequest");

const route = createRoute({
  method: "post",
  path: EDITS_PATH,
  operationId: "editImage",
  tags: ["Images"],
  summary: "Generates pictures from a picture",
  description:
    "Compatible with the OpenAI API. With `stream`, the response is a stream of server-sent events " +
    "`image_edit.partial_image` and `image_edit.completed`.",
  responses: {
    200: {
      description: "The pictures, or the stream of events.",
      content: {
        "application/json": { schema: imagesResponseSchema },
        "text/event-stream": { schema: z.string() },
      },
    },
    ...faults,
  },
});

/**
 * The route as the OpenAPI document shows it. The handler parses the form itself, because form fields are
 * always text.
 */
const documented = {
  ...route,
  request: { body: { required: true, content: { "multipart/form-data": { schema: formSchema } } } },
};

/** Creates the route of image edits. */
export function editRoutes(server: ServerContext) {
  const routes = router();
  routes.openAPIRegistry.registerPath(documented);
  return routes.openapi({ ...route, hide: true }, async (context) => {
    const { fields, image, mask } = readEditForm(await readForm(context.req.raw), server.limits);
    const parsed = editRequestSchema.safeParse(fields);
    if (!parsed.success) throw invalidRequest(parsed.error, []);
    const settled = settleImageRequest(parsed.data, editRequestSchema);
    const pictures = await readPictures(image, mask, server);
    return await answerPictures(settled, context, server, pictures);
  });
}

/** Puts the pictures into the store. */
async function readPictures(
  image: File,
  mask: File | undefined,
  { pictures }: ServerContext,
): Promise<RequestPictures> {
  const read = async (file: File, param: string): Promise<ReadPicture> =>
    await readUpload(pictures, new Uint8Array(await file.arrayBuffer()), param);
  const { artifact, transparent } = await read(image, "image");
  const given = mask && await read(mask, "mask");
  return { image: artifact, mask: given ? given.transparent ?? given.artifact : transparent ?? undefined };
}
