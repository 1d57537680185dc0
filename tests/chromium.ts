/**
 * The browser for tests of pages: Debian's Chromium. Without it, the tests are ignored, except on CI, where
 * they fail.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import type { Need } from "./needing.ts";

const PATH = Deno.env.get("CHROMIUM") ?? "/usr/bin/chromium";

/** Requires the browser. On CI it must be installed. */
export const CHROMIUM: Need = {
  what: `a browser at ${PATH}: install chromium`,
  isThere: existsSync(PATH) || Deno.env.get("CI") === "true",
};

/** Starts the browser. It requests nothing except the page. */
export async function launchBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: PATH,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
