// This module is browser compatible.

/**
 * The frame of a chart.
 *
 * @module
 */

import { element } from "./markup.ts";

/**
 * Returns the SVG document of a chart.
 *
 * @param title What the chart shows, for screen readers.
 * @param size Width and height in pixels.
 * @param style Its style sheet.
 * @param parts Its elements.
 */
export function chart(
  title: string,
  { width, height }: { readonly width: number; readonly height: number },
  style: string,
  parts: readonly string[],
): string {
  return element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      class: "chart",
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": title,
    },
    element("style", {}, style),
    element("rect", { width, height, fill: "var(--background)" }),
    ...parts,
  );
}
