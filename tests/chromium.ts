/**
 * The browser that pages are tried in: Debian's Chromium. Where there is none, the tests are ignored; on
 * CI they fail.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import type { Need } from "./needing.ts";

const PATH = Deno.env.get("CHROMIUM") ?? "/usr/bin/chromium";

/** The browser. On CI it must be there. */
export const CHROMIUM: Need = {
  what: `a browser at ${PATH}: install chromium`,
  isThere: existsSync(PATH) || Deno.env.get("CI") === "true",
};

/** Starts the browser. It asks nothing of the network but the page. */
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
