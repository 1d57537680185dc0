/// <reference lib="dom" />
import assert from "node:assert/strict";
import { readPictureHeader } from "../../../images/picture.ts";
import { fillForm, nodeStates, options, sharedServer, waitForStatus, withPage } from "./studio_page.ts";

Deno.test("the studio page makes a picture, shows its progress, and continues from it", options, async () => {
  const server = await sharedServer();
  await withPage(server, async (page) => {
    await fillForm(page, "cute cat", 12);
    await page.click("#generate");
    await page.waitForSelector(".picture.preview");
    assert.match(await page.locator(".picture.preview").getAttribute("src") ?? "", /^data:image\/png/);
    await waitForStatus(page, /^completed/);
    await page.waitForSelector("img.picture:not(.preview)");
    await page.waitForFunction(() => !document.querySelector(".preview"), null, { timeout: 60_000 });
    assert.deepEqual(await nodeStates(page), {
      prompt: "done",
      negative: "cached",
      denoise: "done",
      decode: "done",
    });
    const first = await page.locator("img.picture:not(.preview)").getAttribute("src");

    // The file contains its generation parameters.
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
    assert.equal(download.suggestedFilename(), "cute-cat-7.png");
    const { metadata } = readPictureHeader(await Deno.readFile(await download.path()));
    assert.match(metadata["parameters"]!, /^cute cat\nSteps: 12/);

    // Another seed: nothing is encoded.
    await page.click("#other-seed");
    await page.waitForSelector('.node[data-node="encode"]');
    await waitForStatus(page, /^completed/);
    await page.waitForFunction((src) => {
      const shown = document.querySelector("img.picture:not(.preview)")?.getAttribute("src");
      return shown && shown !== src;
    }, first);
    const encoded = { encode: "cached", "encode-2": "cached" };
    assert.deepEqual(await nodeStates(page), { ...encoded, denoise: "done", decode: "done" });

    // Another decoder: nothing is denoised.
    await page.selectOption("#decoder", "tiny-taesd");
    await page.waitForSelector('.node.cached[data-node="denoise"]');
    await waitForStatus(page, /^completed/);
    assert.deepEqual(await nodeStates(page), { ...encoded, denoise: "cached", decode: "done" });

    // The history contains all three pictures. Continue the first from its middle with another prompt.
    await page.waitForFunction(() => document.querySelectorAll(".thumbnail").length === 3);
    await page.locator(".thumbnail").nth(2).click();
    await page.waitForFunction(
      (src) => document.querySelector("img.picture")?.getAttribute("src") === src,
      first,
    );
    await page.fill("#prompt", "red car");
    await page.locator("summary", { hasText: "Continue from a step" }).click();
    await page.click("#turn");
    await page.waitForFunction(() => document.querySelectorAll(".node").length === 6);
    await waitForStatus(page, /^completed/);
    assert.deepEqual(await nodeStates(page), {
      ...encoded,
      "denoise-begin": "done",
      "prompt-later": "done",
      denoise: "done",
      decode: "done",
    });

    // Compare two pictures, one over the other.
    await page.waitForFunction(() => document.querySelectorAll(".thumbnail").length === 4);
    await page.click("#compare");
    await page.locator(".thumbnail").nth(3).click();
    await page.locator(".compare input[type=range]").fill("20");
    assert.match(await page.locator(".stack").getAttribute("style") ?? "", /20%/);
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => !document.querySelector(".compare"));

    // The page restores everything when it is reloaded.
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll(".thumbnail").length === 4);
    assert.equal(await page.inputValue("#prompt"), "red car");
  });
});

Deno.test(
  "the studio page cancels, returns to an earlier run, and works by keyboard",
  options,
  async () => {
    const server = await sharedServer();
    await withPage(server, async (page) => {
      await fillForm(page, "a long one", 60, 512);
      await page.focus("#prompt");
      await page.keyboard.press("Control+Enter");
      await waitForStatus(page, /denoise: step/);
      await page.reload();
      await waitForStatus(page, /denoise: step/);
      await page.focus("#cancel");
      await page.keyboard.press("Enter");
      await waitForStatus(page, /^cancelled/);
      assert.equal((await nodeStates(page))["denoise"], "failed");
      await page.waitForSelector("#generate");

      const unnamed = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>("button, input, select, textarea, img, [role=img]")]
          .filter((element) =>
            !(element.getAttribute("aria-label") || element.getAttribute("alt") ||
              element.textContent?.trim() || (element as HTMLInputElement).labels?.length ||
              element.closest("label")?.textContent?.trim())
          ).map((element) => element.outerHTML)
      );
      assert.deepEqual(unnamed, [], "everything has a name");

      // The names that a screen reader reads.
      for (const name of ["Steps", "Guidance", "Pictures"]) await page.getByRole("slider", { name }).focus();
      for (const name of ["Prompt", "Negative prompt", "Seed"]) {
        await page.getByRole("textbox", { name, exact: true }).focus();
      }
      await page.getByRole("combobox", { name: "Model" }).focus();
    });
  },
);

Deno.test("the studio page fits a phone", options, async () => {
  const server = await sharedServer();
  await withPage(server, async (page) => {
    await fillForm(page, "a phone", 3);
    await page.click("#generate");
    await waitForStatus(page, /^completed/);
    const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert(content! <= screen!, `${content} pixels on a screen of ${screen}`);

    // Nothing is cut off, even at widths where the run has a separate but narrow column.
    for (const width of [360, 768, 1024, 1181]) {
      await page.setViewportSize({ width, height: 740 });
      const cut = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>(".node strong, .node span, .button, .field > span")]
          .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).map(({ textContent }) =>
            textContent
          )
      );
      assert.deepEqual(cut, [], `at ${width} pixels`);
    }
  }, { size: { width: 360, height: 740 } });
});
