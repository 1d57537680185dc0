/**
 * The browser that pages are tried in: Debian's Chromium. Where there is none, the tests are skipped with a
 * notice; on CI they fail.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const PATH = Deno.env.get("CHROMIUM") ?? "/usr/bin/chromium";

/** Whether tests that need the browser are to be skipped. */
export const noBrowser: boolean = !existsSync(PATH) && Deno.env.get("CI") !== "true";
if (noBrowser) {
  const notice = `Pages are not tried as there is no browser at ${PATH}: install chromium\n`;
  Deno.stderr.writeSync(new TextEncoder().encode(notice));
}

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
