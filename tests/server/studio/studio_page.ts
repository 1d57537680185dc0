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

/** A browser started through Node's API keeps its own handles. */
export const options = { ignore: !CHROMIUM.isThere, sanitizeOps: false, sanitizeResources: false };

/** The tiny models, and a second autoencoder. */
export const models = [
  ...MODELS,
  { name: "tiny-taesd", reference: goldenPath("checkpoints/tiny-taesd") },
];

/** A run that is long enough to be cancelled. */
export const LONG = { steps: 150, width: 512, height: 512, imagesPerPrompt: 4 };

/** One browser and one server for all tests of a file. */
let browser: Promise<Browser> | undefined;
let server: Promise<Serving> | undefined;
Deno.test.afterAll(async () => {
  await (await browser)?.close();
  await (await server)?.[Symbol.asyncDispose]();
});

/**
 * Returns the server that the tests of a file share. It has no jobs, but its store has the results of earlier
 * tests.
 */
export async function sharedServer(): Promise<Serving> {
  const shared = await (server ??= serving({ models }));
  const { data } = await (await shared.ask("/v1/jobs?limit=100")).json();
  for (const { id } of data) {
    await (await shared.ask(`/v1/jobs/${id}/cancel`, { method: "POST" })).body?.cancel();
    await (await shared.ask(`/v1/jobs/${id}`, { method: "DELETE" })).body?.cancel();
  }
  return shared;
}

/** Options for opening a page. */
export interface PageOptions {
  /** The window's size. */
  readonly size?: { readonly width: number; readonly height: number } | undefined;
  /** Browser errors that the page does not cause. */
  readonly expected?: RegExp | undefined;
  /** Whether the device has a touch screen. */
  readonly hasTouch?: boolean | undefined;
  /** Whether to wait for the list of models. */
  readonly waitForModels?: boolean | undefined;
}

/** Opens the page of a server. The page must cause no errors and no requests to other servers. */
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

/** Waits until the page lists the models. */
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

/** Waits until the visible run has a status, and returns its text. */
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

/** Waits until the page has the given number of elements. */
export async function waitForCount(page: Page, selector: string, count: number): Promise<void> {
  await page.waitForFunction(
    ([selector, count]) => document.querySelectorAll(String(selector)).length === count,
    [selector, count] as const,
  );
}

/** Returns the states of the nodes in the visible graph. */
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

/** Returns the settings beside a picture. */
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

/** Returns the text that a button copies. */
export async function copied(page: Page, name: string): Promise<string> {
  await page.click(`[data-copy="${name}"]`);
  await page.waitForSelector(`[aria-label="Copied: ${name}"]`);
  return await page.evaluate(() => navigator.clipboard.readText());
}

/** Drops a file on the page like a user. */
export async function drop(page: Page, name: string, file: Uint8Array): Promise<void> {
  await page.evaluate(([name, bytes]) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([Uint8Array.from(bytes)], name));
    for (const type of ["dragover", "drop"]) {
      document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    }
  }, [name, [...file]] as const);
}
