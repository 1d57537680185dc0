// This module is browser compatible.

import { pythonStrip } from "./python_regexp.ts";

/** Prepares a prompt for the tokenizer. */
export type PreprocessCaption = (text: string) => string;

/**
 * Returns the function that prepares prompts, like `_text_preprocessing` of diffusers'
 * `pipeline_pixart_alpha.py`. The port of the Python libraries that clean captions is loaded only if cleaning
 * is on.
 *
 * @param clean Whether to clean each prompt (twice), or only to trim and lower-case it.
 *
 * @example Usage
 * ```ts
 * import { captionPreprocessor } from "./preprocess_caption.ts";
 * import assert from "node:assert/strict";
 * const [plain, clean] = [await captionPreprocessor(false), await captionPreprocessor(true)];
 * assert.equal(plain(" A Cat &amp; a Dog "), "a cat &amp; a dog");
 * assert.equal(clean(" A Cat &amp; a Dog "), "a cat a dog");
 * ```
 */
export async function captionPreprocessor(clean: boolean): Promise<PreprocessCaption> {
  if (!clean) return (text) => pythonStrip(text.toLowerCase());
  const { cleanCaption } = await import("./clean_caption.ts");
  return (text) => cleanCaption(cleanCaption(text));
}
