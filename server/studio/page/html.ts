/// <reference lib="dom" />
/**
 * Markup as tagged templates.
 *
 * @module
 */

import htm from "htm";
import { type ComponentChildren, h } from "preact";

/** What a template tag takes and gives. */
type Tag = (strings: TemplateStringsArray, ...values: unknown[]) => ComponentChildren;

/** Markup of a template, as Preact's own. The package's types are those of another module format. */
export const html: Tag = (htm as unknown as { bind(make: typeof h): Tag }).bind(h);
