/// <reference lib="dom" />
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { DEFAULT_MODEL } from "../../../hub/local_models.ts";
import { decodePicture } from "../../../images/picture.ts";
import { goldenPath } from "../../goldens.ts";
import { inputPath } from "../../stages/images/picture_goldens.ts";
import { adapterPath } from "../../stages/lora_cases.ts";
import { MODELS, type Serving, serving } from "../serving.ts";
import {
  copied,
  drop,
  fillForm,
  options,
  settingsShown,
  waitForCount,
  waitForStatus,
  withPage,
} from "./studio_page.ts";

const SIDE = 256;

/** Returns the picture files of a job. */
async function made(server: Serving, order: object): Promise<Uint8Array<ArrayBuffer>[]> {
  const { id, events_url: events } = await (await server.post("/v1/jobs", order)).json();
  await (await server.ask(events)).text();
  const job = await (await server.ask(`/v1/jobs/${id}`)).json();
  assert.equal(job.status, "completed", JSON.stringify(job.error));
  return await Promise.all(
    job.images.map(async ({ url }: { url: string }) =>
      new Uint8Array(await (await server.ask(url)).arrayBuffer())
    ),
  );
}

async function shownPicture(page: Page): Promise<Uint8Array> {
  await page.waitForSelector("img.picture:not(.preview)");
  const url = await page.locator("img.picture:not(.preview)").getAttribute("src");
  return new Uint8Array(await (await fetch(url!)).arrayBuffer());
}

/** Requests a picture that differs from the previous one in a setting, and waits for it. */
async function generated(page: Page, setting: string, value: string): Promise<void> {
  await page.click("#generate");
  await page.locator(`[data-setting="${setting}"] dd`, { hasText: value }).waitFor();
  await waitForStatus(page, /^completed/);
}

/** Returns the mean difference of two pictures in a range of columns, from 0 to 255. */
async function difference(
  a: Uint8Array,
  b: Uint8Array,
  from: number,
  to: number,
): Promise<number> {
  const [first, second] = await Promise.all([decodePicture(a), decodePicture(b)]);
  assert.equal(first!.pixels.width, SIDE);
  let sum = 0;
  for (let y = 0; y < SIDE; y++) {
    for (let at = 3 * (y * SIDE + from); at < 3 * (y * SIDE + to); at++) {
      sum += Math.abs(first!.pixels.data[at]! - second!.pixels.data[at]!);
    }
  }
  return sum / (3 * SIDE * (to - from));
}

Deno.test("a dropped picture that is painted over changes only in the painted area", options, async () => {
  const model = DEFAULT_MODEL;
  await using server = await serving({
    models: [{ name: model, reference: model }],
    loras: [{ name: "chalk", reference: `${model}/chalk` }],
  });
  const request = { model, prompts: ["cute cat"], steps: 6, seeds: [3], width: SIDE, height: SIDE };
  const [source] = await made(server, { request });
  await withPage(server, async (page) => {
    await fillForm(page, "red car", 6, SIDE);
    await drop(page, "cat.png", source!);
    await page.waitForSelector(".received #restore");
    await page.click("#start-from");
    await page.waitForSelector("#source");
    assert.equal(await page.inputValue("#strength"), "0.8");

    // Paint over the left half, undo it, and redo it.
    await page.click("#paint-mask");
    const box = (await page.locator("#mask").boundingBox())!;
    await page.locator("#brush-size").fill("64");
    const paint = async (x: number): Promise<void> => {
      await page.mouse.move(box.x + x * box.width, box.y);
      await page.mouse.down();
      await page.mouse.move(box.x + x * box.width, box.y + box.height, { steps: 6 });
      await page.mouse.up();
    };
    const isPainted = (percent: string) =>
      page.locator(".masking [role=status]", { hasText: percent }).waitFor();
    await paint(0.125);
    await isPainted("25 %");
    await page.keyboard.press("Control+z");
    await isPainted("Paint over");
    await page.keyboard.press("Control+Shift+z");
    await paint(0.375);
    await isPainted("50 %");
    await page.keyboard.press("i");
    await page.keyboard.press("e");
    await paint(0.9);
    await page.keyboard.press("Control+z");
    await page.keyboard.press("i");
    await isPainted("50 %");
    await page.click("#use-mask");
    await waitForCount(page, ".masking", 0);
    await page.waitForSelector("#source .masked i");
    assert.equal(await page.inputValue("#strength"), "1");

    await generated(page, "Strength", "1");
    const edited = await shownPicture(page);
    const { Strength, Prompt } = await settingsShown(page);
    assert.deepEqual([Strength, Prompt], ["1", "red car"]);
    await page.waitForSelector(".origins .masked i");

    // The kept area differs only by the autoencoder's loss. The repainted area differs a lot.
    const { artifact } = await (await server.ask("/v1/pictures", { method: "POST", body: source! })).json();
    const size = { model, width: SIDE, height: SIDE };
    const [through] = await made(server, {
      graph: {
        pixstage: 1,
        nodes: {
          picture: {
            stage: "encode-image",
            parameters: { ...size, posterior: "mode" },
            inputs: { image: { artifact } },
          },
          decode: { stage: "decode", parameters: { model }, inputs: { latents: "picture.latents" } },
        },
      },
    });
    const kept = [SIDE / 2 + 24, SIDE] as const;
    const lost = await difference(source!, through!, ...kept);
    const changed = await difference(source!, edited, ...kept);
    assert(changed < 1.5 * lost + 0.5, `${changed} of 255, where the autoencoder loses ${lost}`);
    const painted = await difference(source!, edited, 0, SIDE / 2 - 24);
    assert(painted > 5 * changed, `${painted} of 255 where it was painted, ${changed} elsewhere`);

    // The copied JSON makes the same picture, and the command downloads what it needs.
    const again = JSON.parse(await copied(page, "JSON"));
    assert.deepEqual(Object.keys(again).filter((name) => /image|mask/.test(name)).sort(), [
      "image",
      "imagesPerPrompt",
      "mask",
    ]);
    const [same] = await made(server, { request: again });
    assert.deepEqual((await decodePicture(same!)).pixels.data, (await decodePicture(edited)).pixels.data);
    const command = await copied(page, "command");
    assert.match(
      command,
      /^curl -fsS -o source\.png http\S+\/images\/0 && curl -fsS -o mask\.png http\S+ && /,
    );
    assert.match(command, / --strength=1 .*--image=source\.png --mask=mask\.png$/);

    // The form is restored when the page is reloaded, and again for a picture from the history.
    await page.reload();
    await page.waitForSelector("#source .masked i");
    await page.click("#remove-mask");
    await page.locator("#source [aria-label^=Remove]").click();
    await page.waitForSelector("#picture-file");
    await page.click("#reuse");
    await page.waitForSelector("#source .masked i");
    assert.equal(await page.inputValue("#strength"), "1");

    // Start from the finished picture, with a LoRA.
    await page.click("#use-as-source");
    await page.waitForFunction(() =>
      document.querySelector("#source strong")?.textContent === "red-car-7.png"
    );
    await waitForCount(page, "#source .masked i", 0);
    await page.selectOption("#add-lora", "chalk");
    await page.locator("#lora-0").fill("0.5");
    await page.locator("#strength").fill("0.5");
    await generated(page, "LoRA", "chalk × 0.5");
    const settings = await settingsShown(page);
    assert.deepEqual([settings["LoRA"], settings["Strength"]], ["chalk × 0.5", "0.5"]);
    assert.match(await copied(page, "command"), / --lora=chalk:0\.5 /);
  });
});

/** Draws with a finger. */
async function swipe(page: Page, from: [number, number], to: [number, number]): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const touch = (type: "touchStart" | "touchMove" | "touchEnd", points: [number, number][]) =>
    session.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y]) => ({ x, y })) });
  await touch("touchStart", [from]);
  for (const share of [0.25, 0.5, 0.75, 1]) {
    await touch("touchMove", [[
      from[0] + share * (to[0] - from[0]),
      from[1] + share * (to[1] - from[1]),
    ]]);
  }
  await touch("touchEnd", []);
}

Deno.test(
  "on a phone a mask can be painted with a finger or only the keyboard, and softened",
  options,
  async () => {
    await using server = await serving({
      models: [
        ...MODELS,
        { name: "edges", reference: goldenPath("extras/controlnet/adapters/tiny-alpha-512-control") },
      ],
      loras: [{ name: "sketch", reference: adapterPath("peft-all-a") }],
    });
    const scene = await Deno.readFile(inputPath("scene-64x64"));
    await withPage(server, async (page) => {
      await fillForm(page, "a phone", 4);
      await page.setInputFiles("#picture-file", {
        name: "scene.png",
        mimeType: "image/png",
        buffer: Buffer.from(scene),
      });
      await page.click("#start-from");
      await page.waitForSelector("#source");
      await page.fill("#width", "64");
      await page.fill("#height", "64");
      await page.click("#paint-mask");
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
      const box = (await page.locator("#mask").boundingBox())!;
      assert(box.width > 300, "the picture fills the screen");
      const middle = box.y + box.height / 2;
      await swipe(page, [box.x, middle], [box.x + box.width, middle]);
      const status = page.locator(".masking [role=status]");
      await status.filter({ hasText: /1[0-9] % of the picture/ }).waitFor();
      await page.click("#mask-trash");
      await status.filter({ hasText: "Paint over" }).waitFor();

      // Move the brush left and up from the middle with the keyboard, and paint there.
      await page.focus("#mask");
      for (const key of ["ArrowLeft", "ArrowUp", "Space", "BracketRight"]) await page.keyboard.press(key);
      await status.filter({ hasText: /[1-9] % of the picture/ }).waitFor();
      await page.locator("#feather").fill("4");
      await page.click("#use-mask");
      await page.waitForSelector("#source .masked i");

      // A ControlNet follows the same picture, in addition to the other settings.
      await page.selectOption("#controlnet", "edges");
      assert.equal(await page.locator("#generate").isDisabled(), true);
      const bytes = [...scene];
      await page.evaluate((bytes) => {
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([Uint8Array.from(bytes)], "edges.png", { type: "image/png" }));
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
      }, bytes);
      await page.click("#follow");
      await page.waitForSelector(".control .card");
      await page.locator("#control-scale").fill("0.5");
      await page.locator("#controlled-to").fill("0.75");
      await page.selectOption("#add-lora", "sketch");
      await page.locator("summary", { hasText: "More about guidance" }).click();
      await page.locator("#pag").fill("2");
      await page.locator("#guided-from").fill("0.25");
      await page.click("#generate");
      await waitForStatus(page, /^completed/);
      const { Strength, LoRA, ControlNet, ...settings } = await settingsShown(page);
      assert.deepEqual([Strength, LoRA, ControlNet], ["1", "sketch × 1", "edges × 0.5"]);
      assert.deepEqual(
        [settings["Followed steps"], settings["Guided steps"], settings["Perturbed attention"]],
        ["0 to 0.75", "0.25 to 1", "2"],
      );
      await waitForCount(page, ".origins figure", 2);
      const request = JSON.parse(await copied(page, "JSON"));
      assert.equal(request.softMask, true);
      const [same] = await made(server, { request });
      assert.deepEqual(
        (await decodePicture(same!)).pixels.data,
        (await decodePicture(await shownPicture(page))).pixels.data,
      );
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    }, { size: { width: 390, height: 844 }, hasTouch: true });
  },
);
