/// <reference lib="dom" />
/**
 * The studio page in a real browser, for tests.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { CHROMIUM, launchBrowser } from "../../chromium.ts";
import { goldenPath } from "../../goldens.ts";
import { MODELS, type Serving, serving } from "../serving.ts";

/** A browser of Node's kind keeps handles of its own. */
export const options = { ignore: !CHROMIUM.isThere, sanitizeOps: false, sanitizeResources: false };

/** The tiny models, and a second autoencoder. */
export const models = [
  ...MODELS,
  { name: "tiny-taesd", reference: goldenPath("checkpoints/tiny-taesd") },
];

/** A run that lasts until it is cancelled, as far as tests are concerned. */
export const LONG = { steps: 150, width: 512, height: 512, imagesPerPrompt: 4 };

/** One browser and one server for all tests of a file. */
let browser: Promise<Browser> | undefined;
let server: Promise<Serving> | undefined;
Deno.test.afterAll(async () => {
  await (await browser)?.close();
  await (await server)?.[Symbol.asyncDispose]();
});

/** The server that the tests of a file share. It has no jobs; what earlier tests made is in its store. */
export async function sharedServer(): Promise<Serving> {
  const shared = await (server ??= serving({ models }));
  const { data } = await (await shared.ask("/v1/jobs?limit=100")).json();
  for (const { id } of data) {
    await (await shared.ask(`/v1/jobs/${id}/cancel`, { method: "POST" })).body?.cancel();
    await (await shared.ask(`/v1/jobs/${id}`, { method: "DELETE" })).body?.cancel();
  }
  return shared;
}

/** How a page is opened. */
export interface PageOptions {
  /** The size of its window. */
  readonly size?: { readonly width: number; readonly height: number } | undefined;
  /** Complaints of the browser that are no fault of the page. */
  readonly expected?: RegExp | undefined;
  /** Whether it is touched with fingers. */
  readonly hasTouch?: boolean | undefined;
  /** Whether models are waited for. */
  readonly waitForModels?: boolean | undefined;
}

/** Opens the page of a server, which must complain of nothing and ask nothing of any other. */
export async function withPage(
  server: { readonly url: string },
  use: (page: Page) => Promise<void>,
  { size = { width: 1280, height: 900 }, expected, hasTouch = false, waitForModels = true }: PageOptions = {},
): Promise<void> {
  browser ??= launchBrowser();
  const context = await (await browser).newContext({
    viewport: size,
    hasTouch,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const complaints: string[] = [];
  context.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  context.on("weberror", (error) => complaints.push(error.error().message));
  context.on("request", (request) => {
    if (!/^(?:data|blob):/.test(request.url())) assert(request.url().startsWith(server.url), request.url());
  });
  try {
    const page = await context.newPage();
    await page.goto(server.url);
    if (waitForModels) await modelsAreThere(page);
    await use(page);
  } finally {
    await context.close();
  }
  assert.deepEqual(complaints.filter((text) => !expected?.test(text)), []);
}

/** Waits until the page knows the models. */
export async function modelsAreThere(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelectorAll("#model option").length > 0);
}

/** Fills the form. */
export async function fillForm(page: Page, prompt: string, steps: number, side = 64): Promise<void> {
  await page.fill("#prompt", prompt);
  await page.fill("#seed", "7");
  await page.locator("#steps").fill(String(steps));
  await page.evaluate(() => document.querySelector<HTMLDetailsElement>(".form details")!.open = true);
  await page.fill("#width", String(side));
  await page.fill("#height", String(side));
}

/** Waits until the shown run tells its status, and gives the text. */
export async function waitForStatus(page: Page, status: RegExp): Promise<string> {
  const found = await page.waitForFunction(
    (source) => {
      const text = document.querySelector("#status")?.textContent ?? "";
      return new RegExp(source).test(text) ? text : null;
    },
    status.source,
    { timeout: 120_000 },
  );
  return String(await found.jsonValue());
}

/** Waits until there are so many elements. */
export async function waitForCount(page: Page, selector: string, count: number): Promise<void> {
  await page.waitForFunction(
    ([selector, count]) => document.querySelectorAll(String(selector)).length === count,
    [selector, count] as const,
  );
}

/** The states of the nodes of the graph that is shown. */
export async function nodeStates(page: Page): Promise<Record<string, string>> {
  return await page.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll<HTMLElement>(".node")].map((node) => [
        node.dataset["node"]!,
        node.classList[1]!,
      ]),
    )
  );
}

/** What stands beside a picture. */
export async function settingsShown(page: Page): Promise<Record<string, string>> {
  return await page.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll<HTMLElement>(".row")].map((row) => [
        row.dataset["setting"]!,
        row.querySelector("dd")!.textContent!,
      ]),
    )
  );
}

/** What a button copies. */
export async function copied(page: Page, name: string): Promise<string> {
  await page.click(`[data-copy="${name}"]`);
  await page.waitForSelector(`[aria-label="Copied: ${name}"]`);
  return await page.evaluate(() => navigator.clipboard.readText());
}

/** Drops a file on the page, as a user does. */
export async function drop(page: Page, name: string, file: Uint8Array): Promise<void> {
  await page.evaluate(([name, bytes]) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([Uint8Array.from(bytes)], name));
    for (const type of ["dragover", "drop"]) {
      document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    }
  }, [name, [...file]] as const);
}
