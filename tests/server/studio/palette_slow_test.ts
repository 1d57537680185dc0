/// <reference lib="dom" />
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { decodePicture } from "../../../images/picture.ts";
import { ServerProcess } from "../server_process.ts";
import { nodeStates, options, settingsShown, waitForCount, waitForStatus, withPage } from "./studio_page.ts";

const plugin = fileURLToPath(new URL("../../../examples/plugins/palette.ts", import.meta.url));
const model = fileURLToPath(new URL("../../../examples/plugins/palette-model", import.meta.url));

Deno.test("the studio page makes pictures with an architecture of a plugin", options, async () => {
  const store = await Deno.makeTempDir({ prefix: "pixstage-palette-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(store, { recursive: true }));
  const models = [`palette=${model}`, `palette-too=${model}`];
  const server = stack.use(new ServerProcess({ store, models, args: ["--plugin", plugin] }));
  await server.listens();
  await withPage(server, async (page) => {
    await page.selectOption("#model", "palette");
    await page.fill("#prompt", "red blue");
    await page.fill("#seed", "5");
    assert.deepEqual(
      await Promise.all(["#width", "#height", "#steps", "#guidance"].map((id) => page.inputValue(id))),
      ["128", "128", "4", "1"],
    );
    await page.click("#generate");
    await waitForStatus(page, /^completed/);
    const { Model, Steps, Size } = await settingsShown(page);
    assert.deepEqual([Model, Steps, Size], ["palette", "4", "128 × 128"]);

    // Red on the left, blue on the right.
    const url = await page.locator("img.picture").getAttribute("src");
    const { pixels: { data, width } } = await decodePicture(
      new Uint8Array(await (await fetch(url!)).arrayBuffer()),
    );
    const colour = (column: number): number[] => [...data.subarray(3 * column, 3 * column + 3)];
    const [left, right] = [colour(4), colour(width - 4)];
    assert(left[0]! > 200 && left[2]! < 80, `red: ${left}`);
    assert(right[2]! > 200 && right[0]! < 80, `blue: ${right}`);

    await page.click("#other-seed");
    await page.waitForSelector('.node[data-node="encode"]');
    await waitForStatus(page, /^completed/);
    assert.equal((await nodeStates(page))["encode"], "cached");
    await page.selectOption("#decoder", "palette-too");
    await page.waitForSelector('.node.cached[data-node="denoise"]');
    await waitForStatus(page, /^completed/);
    assert.equal((await settingsShown(page))["Decoder"], "palette-too");

    // A different colour from the second step on.
    await page.fill("#prompt", "green");
    await page.locator("summary", { hasText: "Continue from a step" }).click();
    await page.click("#turn");
    await page.waitForSelector('.node[data-node="denoise-begin"]');
    await waitForStatus(page, /^completed/);
    assert.equal((await settingsShown(page))["First prompt"], "red blue");
    await waitForCount(page, ".thumbnail", 4);
  });
});
