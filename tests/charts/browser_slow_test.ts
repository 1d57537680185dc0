import assert from "node:assert/strict";
import { memoryTimeline } from "../../charts/memory_timeline.ts";
import { CHROMIUM, launchBrowser } from "../chromium.ts";
import { needing } from "../needing.ts";
import { GPU_RUN } from "./gpu_run.ts";

Deno.test(needing(CHROMIUM, {
  name: "a browser reads the timeline as XML, and no text crosses another or the edge",
  fn: async () => {
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      const source = encodeURIComponent(memoryTimeline(GPU_RUN));
      await page.goto(`data:image/svg+xml,${source}`);
      const faults = await page.evaluate(`(() => {
        const svg = document.documentElement;
        if (svg.localName !== "svg") return ["not SVG: " + svg.textContent];
        const edge = svg.getBoundingClientRect();
        const boxes = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
        const faults = boxes.filter(([, box]) =>
          box.left < edge.left || box.right > edge.right || box.bottom > edge.bottom
        ).map(([text]) => text + " crosses the edge");
        for (const [i, [a, one]] of boxes.entries()) {
          for (const [b, other] of boxes.slice(i + 1)) {
            const apart = one.right <= other.left || other.right <= one.left ||
              one.bottom <= other.top + 2 || other.bottom <= one.top + 2;
            if (!apart) faults.push(a + " crosses " + b);
          }
        }
        return faults;
      })()`);
      assert.deepEqual(faults, []);
    } finally {
      await browser.close();
    }
  },
}));
