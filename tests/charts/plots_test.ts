import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { drawPlot, PLOTS } from "../../bench/plots.ts";
import { barChart } from "../../charts/bars.ts";

const docs = (name: string): Promise<string> =>
  readFile(new URL(`../../docs/${name}`, import.meta.url), "utf8");

for (const plot of PLOTS) {
  Deno.test(`docs/${plot.file} shows the figures of its table, and its document shows it`, async () => {
    assert.equal(await docs(plot.file), drawPlot(plot), "run: deno task docs:plots");
    assert((await docs(plot.document)).includes(`](${plot.file})`));
  });
}

Deno.test("bars are as long as their values, and a missing value has none", () => {
  const drawn = barChart({
    title: "time & place",
    unit: "s",
    series: ["a", "b"],
    groups: [{ label: "one", values: [5, undefined] }, { label: "two", values: [10, 2.5] }],
  });
  const widths = [...drawn.matchAll(/<rect [^>]*width="([\d.]+)" height="11"/g)].map(([, width]) =>
    Number(width)
  );
  assert.equal(widths.length, 3);
  const [five, ten, less] = widths as [number, number, number];
  assert(Math.abs(ten - 2 * five) < 0.1 && Math.abs(ten - 4 * less) < 0.1);
  assert.match(drawn, />time &amp; place</);
});
