// This module is browser compatible.

import { z } from "zod";

/**
 * The schema of a prompt. It allows no control characters except line breaks, tabs and form feeds: they mean
 * nothing to a model, PNG files cannot store U+0000, and terminals execute the others.
 */
export const promptSchema = z.string().superRefine((text, context) => {
  const [control] = /(?![\t-\r])\p{Cc}/u.exec(text) ?? [];
  if (control === undefined) return;
  const code = control.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
  context.addIssue({
    code: "custom",
    message: `It must not contain control characters: character ${text.indexOf(control) + 1} is U+${code}`,
  });
});
