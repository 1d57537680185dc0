// This module is browser compatible.

/**
 * The colours and fonts of all charts and pages, for a light and a dark background.
 *
 * @module
 */

/** The fonts of charts. Every system must have one of them, because the files load nothing. */
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/**
 * Colours by role. Series differ in hue and in lightness, so that colour-blind readers can tell them apart.
 */
const LIGHT = {
  background: "#ffffff",
  text: "#1b1f24",
  muted: "#5a6572",
  grid: "#e3e7ec",
  band: "#f4f6f8",
  first: "#1f6feb",
  second: "#d9730d",
  third: "#0f8a6d",
  fourth: "#8250df",
};

const DARK: Readonly<Record<keyof typeof LIGHT, string>> = {
  background: "#12161c",
  text: "#e6eaef",
  muted: "#9aa6b2",
  grid: "#2a313a",
  band: "#1a2028",
  first: "#6cb0ff",
  second: "#ffab5e",
  third: "#4fd1ae",
  fourth: "#c6a3ff",
};

/** The name of a colour. */
export type ColourName = keyof typeof LIGHT;

/** The colours of series, in the order of their use. */
export const SERIES: readonly ColourName[] = ["first", "second", "third", "fourth"];

function variables(colours: Readonly<Record<string, string>>): string {
  return Object.entries(colours).map(([name, colour]) => `--${name}:${colour}`).join(";");
}

/** The variables of all colours, under a selector. */
export function colourStyle(selector: string): string {
  return `${selector}{${variables(LIGHT)};font-family:${FONT};color-scheme:light dark}` +
    `@media (prefers-color-scheme:dark){${selector}{${variables(DARK)}}}`;
}

/** The styles of texts and lines in charts. */
export const CHART_STYLE: string = colourStyle("svg.chart") +
  "svg.chart text{fill:var(--text);font-size:13px}" +
  "svg.chart .title{font-size:17px;font-weight:600}" +
  "svg.chart .muted{fill:var(--muted)}" +
  "svg.chart .small{font-size:12px}" +
  "svg.chart .strong{font-weight:600}" +
  "svg.chart .end{text-anchor:end}" +
  "svg.chart .middle{text-anchor:middle}" +
  "svg.chart .grid{stroke:var(--grid);stroke-width:1}" +
  "svg.chart .axis{stroke:var(--muted);stroke-width:1}";
