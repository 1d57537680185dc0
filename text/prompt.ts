// This module is browser compatible.

import { z } from "zod";

/**
 * The schema of a prompt. Control characters say nothing to a model, PNG files cannot hold U+0000, and
 * terminals obey the others, so all are refused but for line breaks, tabs and form feeds.
 */
export const promptSchema = z.string().superRefine((text, context) => {
  const [control] = /(?![\t-\r])\p{Cc}/u.exec(text) ?? [];
  if (control === undefined) return;
  const code = control.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
  context.addIssue({
    code: "custom",
    message: `It must hold no control characters: character ${text.indexOf(control) + 1} is U+${code}`,
  });
});
