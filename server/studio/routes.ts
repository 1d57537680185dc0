/**
 * Serves the studio page and its files. There is no build step: the server strips the types from a script at
 * its first request, and serves the libraries directly from their npm packages.
 *
 * @module
 */

import { Hono } from "hono";
import { etag } from "hono/etag";
import { createHash } from "node:crypto";
import { stripTypeScriptTypes } from "node:module";
import type { ServerEnv } from "../context.ts";
import { LIBRARIES, PAGE, SCRIPTS, STYLE } from "./files.ts";

const IMPORT_MAP = JSON.stringify({
  imports: Object.fromEntries(Object.keys(LIBRARIES).map((name) => [name, `./${libraryPath(name)}`])),
});

/** The source expression with which a content security policy allows the page's import map. */
export const importMapHash: `'sha256-${string}'` = `'sha256-${
  createHash("sha256").update(IMPORT_MAP).digest("base64")
}'`;

/** Creates the routes of the page and its files. */
export function studioRoutes(): Hono<ServerEnv> {
  const page = PAGE.replace("<!-- IMPORT MAP -->", `<script type="importmap">${IMPORT_MAP}</script>`);
  const scripts = new Map<string, string>();
  const javascript = { "content-type": "text/javascript; charset=utf-8", "cache-control": "no-cache" };
  const app = new Hono<ServerEnv>()
    .use("/", etag())
    .use("/studio/*", etag())
    .get("/", (c) => c.html(page))
    .get("/studio/style.css", (c) => c.body(STYLE, 200, { "content-type": "text/css; charset=utf-8" }));
  for (const [name, text] of Object.entries(LIBRARIES)) {
    app.get(`/${libraryPath(name)}`, (c) => c.body(text, 200, javascript));
  }
  for (const [name, text] of Object.entries(SCRIPTS)) {
    app.get(`/studio/${name}`, (c) => {
      const script = scripts.get(name) ?? stripTypeScriptTypes(text);
      scripts.set(name, script);
      return c.body(script, 200, javascript);
    });
  }
  return app;
}

function libraryPath(name: string): string {
  return `studio/lib/${name.replaceAll(/[^a-z]+/g, "-").replace(/^-/, "")}.js`;
}
