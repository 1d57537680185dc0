/**
 * Parses the parameters that AUTOMATIC1111's web UI writes into picture files.
 *
 * @module
 */

/** A setting and its value. A value with a comma or a colon is quoted. */
const SETTING = /([\w()/-][\w ()/-]{0,59}): ?("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)/g;

/** Maximum UTF-16 units of a text to read. */
const LONGEST = 100_000;

/** Minimum number of settings in the last line of an infotext. */
const LEAST_SETTINGS = 3;

/**
 * Parses an infotext.
 *
 * @param infotext The text: the prompt, then `Negative prompt: …`, then the settings in one line.
 * @returns The settings by name, with `Prompt` and `Negative prompt`.
 */
export function parseInfotext(infotext: string): Record<string, string> {
  const lines = infotext.slice(0, LONGEST).trim().split("\n");
  const last = [...(lines.at(-1) ?? "").matchAll(SETTING)];
  const settings = last.length >= LEAST_SETTINGS ? last : [];
  const texts = settings.length > 0 ? lines.slice(0, -1) : lines;
  const negativeAt = texts.findIndex((line) => line.startsWith("Negative prompt:"));
  const [positive, negative] = negativeAt < 0
    ? [texts, []]
    : [texts.slice(0, negativeAt), texts.slice(negativeAt)];
  const read = settings.map(([, name = "", value = ""]) => [name.trim(), unquoted(value.trim())] as const);
  return Object.fromEntries([
    ["Prompt", positive.join("\n").trim()],
    ["Negative prompt", negative.join("\n").replace("Negative prompt:", "").trim()],
    ...read,
  ]);
}

function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
}
