/**
 * The OpenAPI document, and a page that displays it.
 *
 * @module
 */

import type { OpenAPIHono } from "@hono/zod-openapi";
import { Hono } from "hono";
import { etag } from "hono/etag";
import project from "../../deno.json" with { type: "json" };
import type { ServerEnv } from "../context.ts";

const INFO = {
  openapi: "3.1.0",
  info: {
    title: "pixstage",
    version: project.version,
    description: "Generates pictures from text with PixArt, stage by stage.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  security: [{}, { key: [] }],
};

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pixstage reference</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="reference/page.css">
<div id="reference"></div>
<script src="reference/bundle.js"></script>
<script src="reference/page.js"></script>
</html>
`;

const START = `SwaggerUIBundle({ url: "openapi.json", dom_id: "#reference", deepLinking: true });\n`;

/** Creates the routes of the OpenAPI document and its page. The document is built on the first request. */
export function documentRoutes(app: OpenAPIHono<ServerEnv>): Hono<ServerEnv> {
  let document: ReturnType<typeof app.getOpenAPI31Document> | undefined;
  const openApi = (): typeof document => {
    app.openAPIRegistry.registerComponent("securitySchemes", "key", { type: "http", scheme: "bearer" });
    return app.getOpenAPI31Document(INFO);
  };
  const javascript = { "content-type": "text/javascript; charset=utf-8" };
  return new Hono<ServerEnv>()
    .use("/reference/*", etag())
    .get("/openapi.json", (c) => {
      document ??= openApi();
      return c.json({ ...document, servers: [{ url: c.env.address.prefix || "/" }] });
    })
    .get("/reference", (c) => c.html(PAGE))
    .get("/reference/page.js", (c) => c.body(START, 200, javascript))
    .get("/reference/bundle.js", async (c) => {
      const { BUNDLE } = await import("./reference_files.ts");
      return c.body(BUNDLE, 200, javascript);
    })
    .get("/reference/page.css", async (c) => {
      const { STYLE } = await import("./reference_files.ts");
      return c.body(STYLE, 200, { "content-type": "text/css; charset=utf-8" });
    });
}
