import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CHROMIUM, launchBrowser } from "../chromium.ts";
import { needing } from "../needing.ts";
import { inFolder, runCli, TINY } from "./run_cli.ts";

const SMALL = ["-m", TINY, "--set", "steps=2,width=64,height=64"];

Deno.test(needing(CHROMIUM, {
  name: "compare writes a page whose slider uncovers one picture or the other, and which loads nothing",
  fn: () =>
    inFolder(async (folder) => {
      const run = await runCli(
        folder,
        ...["compare", "a <b>cat</b>", ...SMALL, "--a", "seed=1", "--b", "seed=2", "--page", "both.html"],
      );
      assert.equal(run.status, 0, run.stderr);
      assert.deepEqual(run.stdout.trim().split("\n").slice(-2), [
        join(folder, "compare.png"),
        join(folder, "both.html"),
      ]);
      const browser = await launchBrowser();
      try {
        const page = await browser.newPage({ viewport: { width: 1000, height: 900 } });
        const requests: string[] = [];
        const errors: string[] = [];
        page.on("request", (request) => requests.push(request.url()));
        page.on("pageerror", (error) => errors.push(error.message));
        page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
        await page.goto(pathToFileURL(join(folder, "both.html")).href);
        assert.equal(await page.textContent("h1"), "a <b>cat</b>");

        // The middle belongs to B if the slider is at the left, and to A if it is at the right.
        const middle = async (): Promise<string> => {
          const { x, y, width, height } = (await page.locator(".both").boundingBox())!;
          const clip = { x: x + width / 4, y: y + height / 4, width: width / 2, height: height / 2 };
          return (await page.screenshot({ clip })).toString("base64");
        };
        const box = (await page.locator(".both").boundingBox())!;
        const drag = async (share: number): Promise<string> => {
          await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
          await page.mouse.down();
          await page.mouse.move(box.x + box.width * share, box.y + box.height / 2, { steps: 4 });
          await page.mouse.up();
          return await middle();
        };
        const shownA = await drag(0.98);
        const shownB = await drag(0.02);
        assert.notEqual(shownA, shownB);
        assert(Number(await page.inputValue("input")) < 5);
        await page.focus("input");
        await page.keyboard.press("End");
        assert.equal(await middle(), shownA, "keys move the slider as well");
        await page.addStyleTag({ content: ".over{clip-path:none!important}" });
        assert.equal(await middle(), shownB, "the upper picture is B");

        const figures = await page.locator("td").allTextContents();
        assert(figures.some((text) => /^\d+\.\d\d dB$/.test(text)), figures.join("; "));
        assert(figures.some((text) => /^\d+\.\d s, \d+ MB$/.test(text)), figures.join("; "));
        assert.match(
          await page.locator("figcaption").last().textContent() ?? "",
          /amplified (1|2|4|8|16|32|64) times. The largest difference of a channel is \d+ of 255/,
        );
        assert.deepEqual(errors, []);
        assert.deepEqual(requests.filter((url) => !/^(file|data):/.test(url)), []);
      } finally {
        await browser.close();
      }
    }),
}));

Deno.test("compare tells of equal pictures that they are identical", () =>
  inFolder(async (folder) => {
    const options = ["--a", "threads=1", "--b", "threads=1", "--page", "same.html", "--json"];
    const run = await runCli(folder, "compare", "a cat", ...SMALL, ...options);
    assert.equal(run.status, 0, run.stderr);
    const page = await readFile(JSON.parse(run.stdout).page, "utf8");
    assert.match(page, /The pictures are identical/);
    assert.match(page, />∞</);
  }));

Deno.test("compare refuses a page that is not HTML before it runs anything", () =>
  inFolder(async (folder) => {
    const run = await runCli(
      folder,
      "compare",
      "a cat",
      ...SMALL,
      "--a",
      "seed=1",
      "--b",
      "seed=2",
      "--page",
      "x.png",
    );
    assert.equal(run.status, 2);
    assert.match(run.stderr, /must end in \.html/);
  }));
