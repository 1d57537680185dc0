/// <reference lib="dom" />
import assert from "node:assert/strict";
import { unzipSync } from "fflate";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { decodePicture, encodePicture, readPictureHeader } from "../../../images/picture.ts";
import {
  copied,
  drop,
  fillForm,
  options,
  settingsShown,
  sharedServer,
  waitForCount,
  waitForStatus,
  withPage,
} from "./studio_page.ts";

async function downloaded(page: Page, selector: string): Promise<[name: string, file: Uint8Array]> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(selector)]);
  return [download.suggestedFilename(), await Deno.readFile(await download.path())];
}

/** Returns whether a dialog is modal as soon as it is in the document, before anything is painted. */
async function modalAtOnce(page: Page, selector: string): Promise<boolean> {
  const found = await page.evaluateHandle((selector) => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const observer = new MutationObserver(() => {
      const dialog = document.querySelector(selector);
      if (!dialog) return;
      observer.disconnect();
      resolve(dialog.matches(":modal"));
    });
    observer.observe(document.body, { childList: true, subtree: true });
    return { isModal: promise };
  }, selector);
  return await found.evaluate(({ isModal }) => isModal);
}

async function formShown(page: Page): Promise<Record<string, string>> {
  const ids = ["prompt", "negative", "model", "steps", "guidance", "seed", "width", "height", "scheduler"];
  return Object.fromEntries(await Promise.all(ids.map(async (id) => [id, await page.inputValue(`#${id}`)])));
}

Deno.test("the studio page makes each of several pictures usable", options, async () => {
  const server = await sharedServer();
  await withPage(server, async (page) => {
    await fillForm(page, 'it\'s a "cat"', 3);
    await page.fill("#negative", "a dog");
    await page.locator("#guidance").fill("3.5");
    await page.selectOption("#scheduler", "EulerDiscreteScheduler");
    await page.locator("#count").fill("3");
    await page.click("#generate");
    await waitForStatus(page, /^completed/);
    await waitForCount(page, ".open", 3);

    // The settings of the third picture.
    await page.getByRole("button", { name: "Picture 3", exact: true }).click();
    await page.waitForFunction(() => document.querySelector('[data-setting="Seed"] dd')?.textContent === "9");
    assert.deepEqual(await settingsShown(page), {
      "Prompt": 'it\'s a "cat"',
      "Negative prompt": "a dog",
      "Seed": "9",
      "Size": "64 × 64",
      "Steps": "3",
      "Scheduler": "EulerDiscreteScheduler",
      "Guidance": "3.5",
      "Model": "tiny",
    });
    const [name, third] = await downloaded(page, "#download");
    assert.equal(name, "it-s-a-cat--9.png");
    assert.match(readPictureHeader(third).metadata["parameters"]!, /Seed: 9,/);
    assert.equal(await copied(page, "Seed"), "9");
    assert.equal(
      await copied(page, "command"),
      `deno task gen 'it'\\''s a "cat"' '--negative-prompt=a dog' --model=tiny --width=64 --height=64 ` +
        "--steps=3 --guidance-scale=3.5 --scheduler=EulerDiscreteScheduler --seed=9",
    );

    // The copied JSON makes exactly this picture.
    const job = await (await server.post("/v1/jobs", { request: JSON.parse(await copied(page, "JSON")) }))
      .json();
    await (await server.ask(job.events_url)).text();
    const { images: [again] } = await (await server.ask(`/v1/jobs/${job.id}`)).json();
    const pixels = async (file: Uint8Array): Promise<Uint8Array> => (await decodePicture(file)).pixels.data;
    assert.deepEqual(
      await pixels(new Uint8Array(await (await server.ask(again.url)).arrayBuffer())),
      await pixels(third),
    );

    // Download all pictures in one file.
    const [zipName, zip] = await downloaded(page, "#download-all");
    assert.equal(zipName, "it-s-a-cat--9.zip");
    const files = unzipSync(zip);
    assert.deepEqual(Object.keys(files), [7, 8, 9].map((seed) => `it-s-a-cat--${seed}.png`));
    assert.deepEqual(files[name], third);

    // Compare two pictures of the same run, and open one in full size.
    await page.click("#compare");
    const wasCompareModal = modalAtOnce(page, ".compare");
    await page.locator(".open").nth(0).click();
    assert(await wasCompareModal);
    assert.deepEqual(await page.locator(".compare small").allInnerTexts(), ["seed 9", "seed 7"]);
    await page.keyboard.press("Escape");
    await waitForCount(page, ".compare", 0);
    const wasModal = modalAtOnce(page, ".zoom");
    await page.locator(".open").nth(1).click();
    assert(await wasModal, "a key that is pressed at once goes to the dialog");
    assert.match(await page.locator(".zoom small").innerText(), /64 × 64, seed 8/);
    const isShown = (seed: number) =>
      page.waitForFunction(
        (seed) => document.querySelector(".zoom small")?.textContent?.endsWith(`seed ${seed}`),
        seed,
      );
    await page.keyboard.press("ArrowRight");
    await isShown(9);
    // A click on the picture moves the focus out of the dialog, but the keys still work.
    await page.click(".zoom .canvas");
    await page.keyboard.press("ArrowLeft");
    await isShown(8);
    await page.keyboard.press("ArrowRight");
    await isShown(9);
    await page.keyboard.press("Escape");
    await waitForCount(page, ".zoom", 0);

    // Another seed for only the third picture, and other settings from its second step on.
    await page.click("#other-seed");
    await waitForStatus(page, /^completed/);
    await waitForCount(page, ".open", 1);
    assert.equal((await settingsShown(page))["Prompt"], 'it\'s a "cat"');
    await page.locator(".thumbnail:has(.count)").click();
    await waitForCount(page, ".open", 3);
    await page.getByRole("button", { name: "Picture 2", exact: true }).click();
    await page.fill("#prompt", "a mouse");
    await page.locator("summary", { hasText: "Continue from a step" }).click();
    await page.click("#turn");
    await waitForStatus(page, /^completed/);
    await waitForCount(page, ".open", 1);
    const turned = await settingsShown(page);
    assert.deepEqual(
      [turned["Prompt"], turned["Seed"], turned["First steps"], turned["First prompt"]],
      ["a mouse", "8", "1", 'it\'s a "cat"'],
    );
    assert.match(await copied(page, "command"), /^deno task rerun a-mouse-8\.png$/);

    // Star and search the history, and remove a job from it.
    await waitForCount(page, ".thumbnail", 4);
    await page.click("#star");
    await page.waitForSelector('#star[aria-pressed="true"]');
    await page.click("#starred");
    await waitForCount(page, ".thumbnail", 1);
    const oldest = (await (await server.ask("/v1/jobs")).json()).data.at(-1);
    await page.click("#starred");
    await waitForCount(page, ".thumbnail", 4);
    await page.locator("li:has(.thumbnail)").last().hover();
    await page.locator(".star").last().click();
    await page.waitForSelector('li:last-child > .star[aria-pressed="true"]');
    assert.equal((await (await server.ask(`/v1/jobs/${oldest.id}`)).json()).starred, true);
    await page.click("#starred");
    await waitForCount(page, ".thumbnail", 2);
    await page.fill("#search", "nothing like it");
    await waitForCount(page, ".thumbnail", 0);
    assert.match(await page.locator(".history .hint").innerText(), /Nothing matches/);
    await page.click("#starred");
    await page.fill("#search", "MOUSE 8");
    await waitForCount(page, ".thumbnail", 1);
    page.once("dialog", (dialog) => dialog.accept());
    await page.click("#delete");
    await waitForCount(page, ".thumbnail", 0);
    await page.fill("#search", "");
    await waitForCount(page, ".thumbnail", 3);
    const { data } = await (await server.ask("/v1/jobs")).json();
    assert.equal(data.length, 3);
  });
});

Deno.test("the studio page restores settings from a picture file", options, async () => {
  const server = await sharedServer();
  const order = async (request: object): Promise<Uint8Array[]> => {
    const { id, events_url: events } = await (await server.post("/v1/jobs", { request })).json();
    await (await server.ask(events)).text();
    const { images } = await (await server.ask(`/v1/jobs/${id}`)).json();
    return await Promise.all(
      images.map(async ({ url }: { url: string }) =>
        new Uint8Array(await (await server.ask(url)).arrayBuffer())
      ),
    );
  };
  const made = {
    prompts: ["straße bei nacht, 雨"],
    negativePrompt: "tag",
    steps: 4,
    guidanceScale: 2.5,
    width: 80,
    height: 64,
    scheduler: "ddim",
    seeds: ["18446744073709551610"],
    imagesPerPrompt: 2,
    resolutionBinning: false,
  };
  const [, second] = await order({ model: "tiny-sigma", ...made });
  const [plain] = await order({ model: "tiny", prompts: ["plain"], steps: 2, width: 64, height: 64 });
  const pixels = { width: 8, height: 8, data: new Uint8Array(192) };
  await withPage(server, async (page) => {
    await page.evaluate(() => document.querySelector<HTMLDetailsElement>(".form details")!.open = true);
    const fields = {
      prompt: "straße bei nacht, 雨",
      negative: "tag",
      model: "tiny-sigma",
      steps: "4",
      guidance: "2.5",
      seed: "18446744073709551611",
      width: "80",
      height: "64",
      scheduler: "DDIMScheduler",
    };
    const requests: string[] = [];
    page.on("request", (request) => request.method() === "GET" || requests.push(request.url()));
    await drop(page, "night.png", second!);
    await page.click("#restore");
    await page.waitForFunction(() => document.querySelector("#notice")?.textContent?.includes("night.png"));
    assert.deepEqual(await formShown(page), fields);
    assert.deepEqual(requests, [], "the file is sent nowhere");

    // The only choice for files without settings is to start from them, and it changes nothing else.
    const foreign = await encodePicture(pixels, {
      format: "png",
      metadata: { parameters: "a cat\nSteps: 20, Seed: 1" },
    });
    const empty = await encodePicture(pixels, { format: "png" });
    const jpeg = await encodePicture(pixels, { format: "jpeg" });
    const { width: _width, height: _height, ...others } = fields;
    for (
      const [name, file, said] of [
        [
          "foreign.png",
          foreign,
          /settings cannot be restored: .* because another program wrote its parameters/,
        ],
        ["empty.png", empty, /no pixstage settings\.$/],
        ["photo.jpg", jpeg, /starts from photo\.jpg\.$/],
      ] as const
    ) {
      await drop(page, name, file);
      await page.waitForFunction(
        (name) => document.querySelector("#source strong")?.textContent === name,
        name,
      );
      assert.match(await page.locator("#notice").innerText(), said);
      const { width, height, ...rest } = await formShown(page);
      assert.deepEqual([rest, width], [others, height]);
      await page.getByRole("button", { name: `Remove ${name}` }).click();
    }
    await drop(page, "torn.png", second!.subarray(0, 300));
    await page.waitForFunction(() => document.querySelector("#fault"));
    await waitForCount(page, "#source", 0);

    // The same with only the keyboard.
    await page.setInputFiles("#picture-file", {
      name: "plain.png",
      mimeType: "image/png",
      buffer: Buffer.from(plain!),
    });
    await page.click("#restore");
    await page.waitForFunction(() => document.querySelector("#notice")?.textContent?.includes("plain.png"));
    await waitForCount(page, "#fault", 0);
    const { prompt, negative, model, guidance, scheduler, seed } = await formShown(page);
    assert.deepEqual([prompt, negative, model, guidance, scheduler, seed], [
      "plain",
      "",
      "tiny",
      "4.5",
      "",
      "0",
    ]);

    // Sizes of the same area in other shapes.
    await page.getByRole("button", { name: /^16:9/ }).click();
    const { width, height } = await formShown(page);
    assert.deepEqual([width, height], ["672", "384"]);
  }, { expected: /400 \(Bad Request\)/ });
});

Deno.test(
  "the studio page shows warnings, and shows the picture on a phone without scrolling",
  options,
  async () => {
    const server = await sharedServer();
    await withPage(server, async (page) => {
      const isInView = () =>
        page.evaluate(() => {
          const { top, bottom, left, right } = document.querySelector(".pictures")!.getBoundingClientRect();
          return top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth;
        });
      await fillForm(page, "cat ".repeat(200).trim(), 12, 256);
      await page.click("#generate");
      await page.waitForSelector(".picture.preview");
      assert(await isInView(), "during the run");
      assert.match(await page.locator(".note.warning").innerText(), /cut|longer|tokens/i);
      await waitForStatus(page, /^completed/);
      await page.waitForFunction(() => !document.querySelector(".preview"));
      assert(await isInView(), "after the run");
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
      await page.reload();
      await page.waitForSelector(".open");
      assert(await isInView(), "when it is loaded again");
      await page.waitForSelector(".note.warning");
    }, { size: { width: 390, height: 844 } });
  },
);
