import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import {
  fillForm,
  LONG,
  options,
  sharedServer,
  waitForCount,
  waitForStatus,
  withPage,
} from "./studio_page.ts";

const tiny = { model: "tiny", prompts: ["of another client"], steps: 2, width: 64, height: 64 };

/** Returns the queue as the page shows it. */
async function listed(page: Page): Promise<string[]> {
  return await page.locator("[data-queued] .title span").allTextContents();
}

Deno.test("the studio page never loses a run, and shows all clients' jobs", options, async () => {
  const server = await sharedServer();
  await withPage(server, async (page) => {
    await fillForm(page, "made before", 2);
    await page.click("#generate");
    await waitForStatus(page, /^completed/);
    await waitForCount(page, ".thumbnail", 1);

    // Click on the history during a run, and return.
    await fillForm(page, "a long one", 60, 512);
    await page.locator("#count").fill("4");
    await page.click("#generate");
    await waitForStatus(page, /denoise: picture 1 of 4, step \d+ of 60, \d+ (?:s|min) left/);
    await page.click(".thumbnail");
    await waitForStatus(page, /^completed/);
    assert.deepEqual(await listed(page), ["a long one"]);
    await page.click("[data-queued] .title");
    await waitForStatus(page, /denoise: picture/);
    await page.waitForSelector("#cancel");

    // Another client's job appears at once, here and in another tab.
    const tab = await page.context().newPage();
    await tab.goto(server.url);
    await server.post("/v1/jobs", { request: tiny }, { "x-client-id": "another" });
    for (const each of [page, tab]) {
      await waitForCount(each, "[data-queued]", 2);
      await each.waitForFunction(() =>
        document.querySelector("[data-queued] + [data-queued] .title")?.textContent?.includes("client")
      );
      assert.deepEqual(await listed(each), ["a long one", "of another client"]);
      assert.match(await each.locator("[data-queued]").nth(1).innerText(), /next in line/);
    }
    // A job that waits too long fails.
    await server.post("/v1/jobs", { request: { ...tiny, prompts: ["too late"] }, deadline: 0.5 });
    await page.waitForSelector(".stopped");
    await page.click(".stopped summary");
    assert.match(
      await page.locator("[data-stopped]").innerText(),
      /too late\s+The job did not finish within its deadline of 0\.5 seconds/,
    );

    // The other tab cancels the run that this one shows.
    await tab.getByRole("button", { name: "Cancel: a long one" }).click();
    await waitForStatus(page, /^cancelled/);
    await waitForCount(page, "#cancel", 0);
    await waitForCount(page, "[data-stopped]", 2);
    assert.match(await page.locator("[data-stopped]", { hasText: "a long one" }).innerText(), /Cancelled/);

    // The other client's picture appears in the history by itself.
    await waitForCount(page, ".thumbnail", 2);
    await waitForCount(page, "[data-queued]", 0);

    // Retrying a failed job replaces it.
    await page.getByRole("button", { name: "Retry: too late" }).click();
    await waitForStatus(page, /^completed/);
    await waitForCount(page, ".thumbnail", 3);
    await waitForCount(page, "[data-stopped]", 1);
    await waitForCount(tab, "[data-stopped]", 1);
    await page.getByRole("button", { name: "Remove: a long one" }).click();
    await waitForCount(tab, ".stopped", 0);
  });
});

Deno.test("the studio page shows waiting jobs and can cancel them", options, async () => {
  const server = await sharedServer();
  await server.post("/v1/jobs", { request: { ...tiny, ...LONG } });
  await withPage(server, async (page) => {
    await fillForm(page, "first", 2);
    await page.click("#generate");
    await waitForStatus(page, /^next in line$/);
    await fillForm(page, "second", 2);
    assert.match(await page.locator("#generate").innerText(), /^Add to the queue/);
    await page.click("#generate");
    await waitForStatus(page, /^1 ahead of this one$/);
    await page.getByRole("button", { name: "Cancel: first" }).click();
    await waitForStatus(page, /^next in line$/);
    await page.click("#cancel");
    await waitForStatus(page, /^cancelled/);
    await waitForCount(page, "[data-queued]", 1);
    assert.deepEqual(await listed(page), ["of another client"]);
    await page.click("[data-queued] .icon");
    await waitForCount(page, "[data-queued]", 0);
    await waitForCount(page, "[data-stopped]", 3);
  });
});
