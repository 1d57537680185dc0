import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EDGE_SAFE, LAYERS } from "../../tools/layers.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PAGE = readFileSync(`${ROOT}docs/architecture.md`, "utf8");

/** Returns the cells of the rows of a section's table. */
function rows(section: string): string[][] {
  const [, text = ""] = PAGE.split(`## ${section}\n`);
  const [table = ""] = text.match(/^\|.*?(?=\n\n)/ms) ?? [];
  return table.split("\n").slice(2).map((row) => row.split("|").slice(1, -1).map((cell) => cell.trim()));
}

/** Returns the name of a layer as the page writes it. */
function written(layer: string): string {
  return layer.endsWith(".ts") ? `\`${layer}\`` : `\`${layer}/\``;
}

Deno.test("the page of the architecture has the layers that imports are checked against", () => {
  const top = LAYERS.toReversed();
  const rules = top.map((layer, index) => {
    const above = top.slice(0, index).at(-1);
    const layers = above === undefined ? [] : [index === 1 ? written(above) : `${written(above)} and above`];
    return [...layers, ...EDGE_SAFE.includes(layer) || layer === "web.ts" ? ["Node, Deno"] : []].join("; ");
  });
  assert.deepEqual(rows("The layers").map(([layer]) => layer), top.map(written));
  assert.deepEqual(rows("The layers").map(([, , , rule]) => rule), rules);
});

Deno.test("the page's folders exist, and so do the files to start at", () => {
  for (const [folder, , start] of [...rows("The layers"), ...rows("Other folders")]) {
    for (const path of [folder!, start!]) {
      assert.ok(existsSync(ROOT + path.replaceAll("`", "")), path);
    }
  }
});
