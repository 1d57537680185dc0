/// <reference lib="dom" />
/**
 * Markup in tagged templates.
 *
 * @module
 */

import htm from "htm";
import { type ComponentChildren, h } from "preact";

/** The type of the template tag. */
type Tag = (strings: TemplateStringsArray, ...values: unknown[]) => ComponentChildren;

/**
 * Converts a template to Preact elements. The cast is needed because the package's types describe another
 * module format.
 */
export const html: Tag = (htm as unknown as { bind(make: typeof h): Tag }).bind(h);
