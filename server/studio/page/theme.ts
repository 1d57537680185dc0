/// <reference lib="dom" />
/**
 * The colour theme: light, dark, or the system's.
 *
 * @module
 */

import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { html } from "./html.ts";

const KEY = "pixstage-theme";
const THEMES = ["auto", "light", "dark"] as const;
const SIGNS = { auto: "◐", light: "☀", dark: "☾" } as const;

const theme = signal<typeof THEMES[number]>(
  THEMES.find((name) => name === localStorage.getItem(KEY)) ?? "auto",
);
document.documentElement.dataset["theme"] = theme.value;

/** A button that cycles through the themes. */
export function ThemeButton(): VNode {
  const next = (): void => {
    theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
    localStorage.setItem(KEY, theme.value);
    document.documentElement.dataset["theme"] = theme.value;
  };
  return html`
    <button type="button" class="icon" id="theme" onClick=${next} title=${`Theme: ${theme.value}`}
      aria-label=${`Theme: ${theme.value}`}>${SIGNS[theme.value]}</button>
  ` as VNode;
}
