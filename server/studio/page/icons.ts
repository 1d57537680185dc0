/**
 * Icons, drawn on a 16 × 16 grid.
 *
 * @module
 */

import type { VNode } from "preact";
import { html } from "./html.ts";

const PATHS = {
  brush:
    "M13.5 2.5c-3 1.5-5.5 4-7 6.5M6.5 9l1.5 1.5c2.5-1.5 4.5-4.5 5.5-8M6.5 9c-2 0-2.5 1.5-2.5 3 0 1-.8 1.5-1.5 1.5 3 .7 5.5-.5 5.5-3",
  eraser: "M9 3.5l4 4-5.5 5.5h-3L2.5 11zM5.5 7l4 4M7.5 13h6",
  invert: "M8 2.5a5.5 5.5 0 0 1 0 11zM8 2.5a5.5 5.5 0 0 0 0 11M10 4.5v7M12 6v4",
  close: "M4 4l8 8M12 4l-8 8",
  copy:
    "M6 6V3.5A1.5 1.5 0 0 1 7.5 2h5A1.5 1.5 0 0 1 14 3.5v5A1.5 1.5 0 0 1 12.5 10H10M3.5 6h5A1.5 1.5 0 0 1 10 7.5v5A1.5 1.5 0 0 1 8.5 14h-5A1.5 1.5 0 0 1 2 12.5v-5A1.5 1.5 0 0 1 3.5 6z",
  dice:
    "M4 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2zM5.5 5.5h.01M10.5 5.5h.01M8 8h.01M5.5 10.5h.01M10.5 10.5h.01",
  done: "M3 8.5l3.5 3.5L13 4.5",
  left: "M10 3L5 8l5 5",
  picture:
    "M3.5 2.5h9a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-9a1 1 0 0 1-1-1v-9a1 1 0 0 1 1-1zM2.5 11l3.5-3.5 3 3 2-2 2.5 2.5M10.5 5.5h.01",
  redo: "M13 6H6a3.5 3.5 0 0 0 0 7h4M10 3l3 3-3 3",
  retry: "M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3",
  right: "M6 3l5 5-5 5",
  star: "M8 2l1.8 3.9 4.2.5-3.1 2.9.8 4.2L8 11.4l-3.7 2.1.8-4.2L2 6.4l4.2-.5z",
  trash:
    "M2.5 4.5h11M6 4.5V3a1 1 0 0 1 1-1h2a1 1 0 0 1 1 1v1.5M4 4.5l.6 8.6a1 1 0 0 0 1 .9h4.8a1 1 0 0 0 1-.9l.6-8.6",
  undo: "M3 6h7a3.5 3.5 0 0 1 0 7H6M6 3L3 6l3 3",
  zoom: "M9.5 2.5h4v4M13.5 2.5L9.5 6.5M6.5 13.5h-4v-4M2.5 13.5l4-4",
} as const;

/** The name of an icon. */
export type IconName = keyof typeof PATHS;

/** An icon. It has no accessible name, so the control around it needs a label. */
export function Icon({ name }: { readonly name: IconName }): VNode {
  return html`
    <svg class="drawn" viewBox="0 0 16 16" aria-hidden="true">
      <path d=${PATHS[name]} />
    </svg>
  ` as VNode;
}
