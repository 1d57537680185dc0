/// <reference lib="dom" />
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { CHROMIUM, launchBrowser } from "../../chromium.ts";
import { needing } from "../../needing.ts";
import { ServerProcess } from "../server_process.ts";
import { documented, type ProxyName, proxyNeed, PUBLIC_NAME, startProxy } from "./proxy_process.ts";

/** A setup with a reverse proxy. */
interface Way {
  readonly proxy: ProxyName;
  /** The proxy's configuration. */
  readonly text: () => Promise<string> | string;
  /** Options of `serve`. */
  readonly args: readonly string[];
  /** The page's path behind the proxy. */
  readonly path: string;
  /**
   * The path that the server uses in its links. It is wrong unless something tells the server the right path.
   */
  readonly believed: RegExp;
  /** The server's API key. */
  readonly key?: string;
}

const ALLOWED = ["--allowed-host", PUBLIC_NAME];
const NAME = String.raw`http:\/\/${PUBLIC_NAME.replace(".", String.raw`\.`)}:\d+`;

const WAYS: Readonly<Record<string, Way>> = {
  "nginx as documented, under a path that it removes": {
    proxy: "nginx",
    text: () => documented("nginx"),
    args: [...ALLOWED, "--trust-proxy"],
    path: "/pixstage/",
    believed: new RegExp(`^${NAME}/pixstage/v1/`),
    key: "secret",
  },
  "Caddy as documented, under a path that it removes": {
    proxy: "caddy",
    text: () => documented("caddyfile"),
    args: [...ALLOWED, "--trust-proxy", "127.0.0.0/8"],
    path: "/pixstage/",
    believed: new RegExp(`^${NAME}/pixstage/v1/`),
  },
  "nginx that rewrites Host without a forwarded header": {
    proxy: "nginx",
    text: () => "location / { proxy_pass http://127.0.0.1:8000; }",
    args: ALLOWED,
    path: "/",
    believed: /^http:\/\/127\.0\.0\.1:\d+\/v1\//,
  },
  "nginx that removes a path without a forwarded header": {
    proxy: "nginx",
    text: () => "location /deep/er/ { proxy_pass http://127.0.0.1:8000/; proxy_set_header Host $http_host; }",
    args: ALLOWED,
    path: "/deep/er/",
    believed: new RegExp(`^${NAME}/v1/`),
  },
  "nginx that leaves the path in requests": {
    proxy: "nginx",
    text: () => "location /pixstage { proxy_pass http://127.0.0.1:8000; proxy_set_header Host $http_host; }",
    args: [...ALLOWED, "--base-path", "/pixstage"],
    path: "/pixstage",
    believed: new RegExp(`^${NAME}/pixstage/v1/`),
  },
};

for (const [name, way] of Object.entries(WAYS)) {
  const test: Deno.TestDefinition = {
    name: `the page, its pictures and links work behind ${name}`,
    // A browser started through Node's API keeps its own handles.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => tryWay(way),
  };
  Deno.test(needing(CHROMIUM, needing(proxyNeed(way.proxy), test)));
}

async function tryWay(way: Way): Promise<void> {
  const store = await Deno.makeTempDir();
  const { key } = way;
  {
    await using server = await new ServerProcess({
      store,
      args: way.args,
      env: key ? { PIXSTAGE_API_KEY: key } : {},
    })
      .listens();
    await using proxy = await startProxy(way.proxy, server.url, await way.text());
    await using stack = new AsyncDisposableStack();
    const browser = await launchBrowser();
    stack.defer(() => browser.close());
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on(
      "response",
      (reply) => reply.status() >= 400 && complaints.push(`${reply.status()} ${reply.url()}`),
    );

    // 1. The page asks for the key, then makes a picture, shows its progress, and lists it.
    await page.goto(proxy.url + way.path);
    if (key) {
      await page.fill("input[name=key]", key);
      await page.click(".key button");
      await page.waitForFunction(() => document.querySelectorAll("#model option").length > 0);
      assert.ok(complaints.every((complaint) => complaint.includes("401")), complaints.join());
      complaints.length = 0;
    }
    await makePicture(page);

    // 2. The reference shows the API document, whose addresses start with the server's path.
    const below = new URL(page.url());
    await page.goto(new URL("reference", below).href);
    await page.waitForSelector(".opblock");

    // 3. A link from outside leads to the picture without the key.
    const reply = await page.evaluate(async (address) => {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ prompt: "cat", steps: 2, size: "64x64", response_format: "url" });
      const made = await fetch(address, { method: "POST", headers, body });
      return await made.json();
    }, new URL("v1/images/generations", below).href);
    assert.ok(reply.data, JSON.stringify(reply));
    const link: string = reply.data[0].url;
    assert.match(link, way.believed);
    if (link.startsWith(below.href)) {
      const type = await page.evaluate(async (url) => {
        const picture = await fetch(url, { credentials: "omit" });
        return picture.headers.get("content-type");
      }, link);
      assert.equal(type, "image/png");
    }
    assert.deepEqual(complaints, []);
  }
  await Deno.remove(store, { recursive: true });
}

/** Makes a picture with the form, and waits for its previews. */
async function makePicture(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelectorAll("#model option").length > 0);
  await page.fill("#prompt", "cute cat");
  await page.locator("#steps").fill("6");
  await page.evaluate(() => document.querySelector<HTMLDetailsElement>(".form details")!.open = true);
  await page.fill("#width", "64");
  await page.fill("#height", "64");
  await page.click("#generate");
  await page.waitForFunction(
    () => {
      const picture = document.querySelector<HTMLImageElement>("img.picture:not(.preview)");
      return picture?.complete && picture.naturalWidth === 64;
    },
    null,
    { timeout: 60_000 },
  );
  await page.waitForFunction(
    () => {
      const thumbnail = document.querySelector<HTMLImageElement>(".thumbnail img");
      return thumbnail?.complete && thumbnail.naturalWidth > 0;
    },
    null,
    { timeout: 60_000 },
  );
}
