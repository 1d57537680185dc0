// This module is browser compatible.

/**
 * A page in one file. It loads nothing, so it can be opened from a disk and sent by mail.
 *
 * @module
 */

import { escapeMarkup } from "./markup.ts";
import { colourStyle } from "./style.ts";

/** The parts of a page. */
export interface PageParts {
  /** Its title, as text. */
  readonly title: string;
  /** The content of its body, as markup. */
  readonly body: string;
  /** Additional styles. */
  readonly style?: string;
  /** A script that runs when the page is loaded. */
  readonly script?: string;
}

const STYLE = colourStyle(":root") +
  "body{margin:0 auto;padding:24px;max-width:1040px;background:var(--background);color:var(--text);line-height:1.5}" +
  "h1{font-size:22px;margin:0 0 4px}p{margin:0 0 16px}.muted{color:var(--muted)}" +
  "table{border-collapse:collapse;margin:16px 0;font-variant-numeric:tabular-nums}" +
  "th,td{padding:4px 16px 4px 0;text-align:left;border-bottom:1px solid var(--grid)}th{font-weight:600}" +
  "td.number,th.number{text-align:right}" +
  "svg.chart{width:100%;height:auto}";

/** Forbids all requests, even for a picture whose address a prompt contains. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/** Writes a page. */
export function page({ title, body, style = "", script }: PageParts): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escapeMarkup(title)}</title>
<style>${STYLE}${style}</style>
</head>
<body>
${body}
${script === undefined ? "" : `<script>${script}</script>\n`}</body>
</html>
`;
}
