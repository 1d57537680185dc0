/// <reference lib="dom" />
/**
 * Builds the documentation as a site, which fails if a link leads nowhere, and reads it in a browser.
 *
 * @module
 */

import assert from "node:assert/strict";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { CHROMIUM, launchBrowser } from "../chromium.ts";
import { needing } from "../needing.ts";
import { documentBlocks } from "./code_blocks.ts";

const DOCS = fileURLToPath(new URL("../../docs/", import.meta.url));
const SITE = join(DOCS, ".vitepress/dist");
const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".png": "image/png",
  ".woff2": "font/woff2",
};

/** Opens the built site in a browser, and asserts that the browser contacts no other server. */
async function withSite(use: (page: Page, url: string) => Promise<void>): Promise<void> {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    const { pathname } = new URL(url);
    const path = decodeURI(pathname.endsWith("/") ? `${pathname}index.html` : pathname);
    const body = await Deno.readFile(join(SITE, path)).catch(() => undefined);
    if (!body) return new Response(null, { status: 404 });
    return new Response(body, { headers: { "content-type": TYPES[extname(path)] ?? "text/plain" } });
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage();
    const foreign: string[] = [];
    page.on("request", (request) => {
      if (!/^(?:data|blob):/.test(request.url()) && !request.url().startsWith(url)) {
        foreign.push(request.url());
      }
    });
    await use(page, url);
    assert.deepEqual(foreign, []);
  } finally {
    await browser.close();
  }
}

/** Returns the number of diagrams in each page of `docs/` that has any. */
function diagrams(): Map<string, number> {
  const sources = documentBlocks().filter(({ file, language }) =>
    file.startsWith("docs/") && language === "mermaid"
  );
  assert.ok(sources.length > 0);
  return new Map(
    sources.map(({ file }) => [file, sources.filter((source) => source.file === file).length]),
  );
}

Deno.test(needing(CHROMIUM, {
  name: "the site is built, its links hold, and search and diagrams work without other servers",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "build"],
      cwd: DOCS,
      env: { NO_COLOR: "1" },
    }).output();
    const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
    assert.ok(success, text(stdout) + text(stderr));
    await withSite(async (page, url) => {
      await page.goto(`${url}/`);
      const samples = page.locator(".samples");
      await samples.waitFor();
      assert.ok(
        await samples.evaluate((image) => image instanceof HTMLImageElement && image.naturalWidth > 0),
      );
      await page.keyboard.press("Control+k");
      await page.locator("#localsearch-input").fill("seamless");
      await page.locator("#localsearch-list a").first().click();
      await page.locator("h1").first().waitFor();
      assert.match(page.url(), /\/\w+\.html/);
      for (const [file, count] of diagrams()) {
        await page.goto(`${url}/${file.replace(/^docs\//, "").replace(/md$/, "html")}`);
        assert.equal(await page.locator(".diagram svg").count(), count, file);
      }
      await page.goto(`${url}/api/pixstage/interfaces/GenerateRequest.html`);
      await page.getByText("What the pictures show.").first().waitFor();
      await page.goto(`${url}/source/stage.ts.html`);
      await page.getByText("defineStage").first().waitFor();
    });
  },
}));
