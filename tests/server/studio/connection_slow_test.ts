import assert from "node:assert/strict";
import { ServerProcess } from "../server_process.ts";
import { serving } from "../serving.ts";
import {
  fillForm,
  modelsAreThere,
  options,
  sharedServer,
  waitForCount,
  waitForStatus,
  withPage,
} from "./studio_page.ts";

/** Removes a folder at once, even while a process writes into it. */
async function takeAway(folder: string): Promise<void> {
  const gone = await Deno.makeTempDir({ prefix: "pixstage-gone-" });
  await Deno.rename(folder, gone);
  await Deno.remove(gone, { recursive: true }).catch(() => {});
}

Deno.test("the studio page survives the loss of its server and of the store", options, async () => {
  const store = await Deno.makeTempDir({ prefix: "pixstage-studio-" });
  let server = await new ServerProcess({ store }).listens();
  const { url } = server;
  const startAgain = async (): Promise<void> => {
    server = await new ServerProcess({ store, port: Number(new URL(url).port) }).listens();
  };
  try {
    await withPage({ url }, async (page) => {
      await fillForm(page, "interrupted", 60, 512);
      await page.click("#generate");
      await waitForStatus(page, /denoise: step/);

      // The server dies, and comes back with its jobs.
      await server.end("SIGKILL");
      await page.waitForSelector("#lost");
      await page.click("#cancel");
      assert.match(await page.locator("[role=alert]").allInnerTexts().then(String), /connection .* is lost/);
      await startAgain();
      await waitForCount(page, "#lost", 0);
      await waitForCount(page, "#fault", 0);
      await waitForStatus(page, /denoise: step/);
      await page.waitForSelector("[data-queued] .bar");

      // The server comes back without its jobs.
      await server.end("SIGKILL");
      await page.waitForSelector("#lost");
      await takeAway(store);
      await startAgain();
      await waitForCount(page, "#lost", 0);
      await waitForStatus(page, /^failed/);
      assert.match(await page.locator(".run .fault").innerText(), /no longer has this job/);
      await waitForCount(page, "#cancel", 0);
      await waitForCount(page, "[data-queued]", 0);

      // The page works as before.
      await fillForm(page, "after all", 2);
      await page.click("#generate");
      await waitForStatus(page, /^completed/);
      await waitForCount(page, ".thumbnail", 1);
      await waitForCount(page, ".fault", 0);

      // A picture without a file shows a message.
      await takeAway(store);
      const devTools = await page.context().newCDPSession(page);
      await devTools.send("Network.clearBrowserCache");
      await page.reload();
      await page.waitForSelector(".picture.gone");
    }, { expected: /^Failed to load resource/ });
  } finally {
    await server.end("SIGKILL");
    await Deno.remove(store, { recursive: true }).catch(() => {});
  }
});

Deno.test("the studio page reports a wrong key next to its field", options, async () => {
  await using server = await serving({ apiKey: "the-right-one" });
  await withPage(server, async (page) => {
    const field = page.getByLabel("This server asks for its API key:");
    await field.fill("a-wrong-one");
    await field.press("Enter");
    await page.waitForFunction(() => document.querySelector("#key-refusal")?.textContent);
    assert.match(await page.locator("#key-refusal").innerText(), /^The server refused this key/);
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    assert.equal(await field.getAttribute("aria-describedby"), "key-refusal");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "key");
    assert.deepEqual(await page.context().cookies(), []);

    await field.fill("the-right-one");
    assert.equal(await page.locator("#key-refusal").innerText(), "");
    await field.press("Enter");
    await modelsAreThere(page);
    await waitForCount(page, "#key", 0);
    await fillForm(page, "behind a key", 2);
    await page.click("#generate");
    await waitForStatus(page, /^completed/);
    await page.reload();
    await waitForCount(page, ".thumbnail", 1);
  }, { expected: /status of 401/, waitForModels: false });
});

Deno.test("the studio page reports that a request was not sent", options, async () => {
  const server = await sharedServer();
  await withPage(server, async (page) => {
    await fillForm(page, "on a bad line", 2);
    await page.route("**/v1/jobs", (route) => route.abort(), { times: 1 });
    await page.click("#generate");
    await page.waitForFunction(() => document.querySelector("#notice")?.textContent?.includes("is back"));
    await waitForCount(page, "#lost", 0);
    await page.click("#generate");
    await waitForStatus(page, /^completed/);
    assert.equal(await page.locator("#notice").innerText(), "");
  }, { expected: /ERR_FAILED/ });
});
