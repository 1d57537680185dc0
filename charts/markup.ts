// This module is browser compatible.

/**
 * Writes SVG and HTML as text.
 *
 * @module
 */

/** The attributes of an element. Attributes whose value is `undefined` are left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

/** Escapes a text for the content of an element and for an attribute. */
export function escapeMarkup(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ESCAPES[character]!);
}

/**
 * Writes an element.
 *
 * @param name The name of the element.
 * @param attributes Its attributes. Numbers are rounded to hundredths.
 * @param children Its content, already written as markup.
 *
 * @example Usage
 * ```ts
 * import { element, escapeMarkup } from "./markup.ts";
 * import assert from "node:assert/strict";
 * const label = element("text", { x: 1 / 3, class: "a & b" }, escapeMarkup("1 < 2"));
 * assert.equal(label, '<text x="0.33" class="a &amp; b">1 &lt; 2</text>');
 * ```
 */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const written = Object.entries(attributes).filter(([, value]) => value !== undefined).map(([key, value]) =>
    ` ${key}="${typeof value === "number" ? Math.round(value * 100) / 100 : escapeMarkup(String(value))}"`
  );
  return `<${name}${written.join("")}>${children.join("")}</${name}>`;
}
