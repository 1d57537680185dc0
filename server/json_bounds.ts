/**
 * Limits the nesting depth and the number of values of a JSON text before anything parses it. Schemas recurse
 * along the nesting and take time for each value.
 *
 * @module
 */

import type { MiddlewareHandler } from "hono";
import { ApiError } from "./api_error.ts";
import type { ServerEnv } from "./context.ts";
import type { Limits } from "./limits.ts";

type JsonLimits = Pick<Limits, "maxJsonDepth" | "maxJsonValues">;

/** The media types of JSON bodies. */
export const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\b/i;

/** Number of path levels that an error names, and maximum characters per level. */
const NAMED_LEVELS = 4;
const LONGEST_NAME = 60;

/** Refuses JSON bodies that exceed the limits. */
export function boundJson(limits: JsonLimits): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    if (JSON_TYPE.test(context.req.header("content-type") ?? "")) checkJson(await context.req.text(), limits);
    await next();
  };
}

/**
 * Checks a JSON text against the limits, in one pass without recursion. Leaves syntax errors to the parser.
 *
 * @param text The text.
 * @param limits The limits.
 * @throws {ApiError} 413 if it is nested too deeply or contains too many values, 400 if it contains the name
 * `__proto__`, which objects cannot keep.
 */
export function checkJson(text: string, { maxJsonDepth, maxJsonValues }: JsonLimits): void {
  /** Start and end of the latest name on each level; `undefined` for levels of lists. */
  const names: ({ readonly start: number; readonly end: number } | undefined)[] = [];
  const refuse = (code: "too_large" | "invalid_value", problem: string): never => {
    const path = names.slice(1, NAMED_LEVELS + 1).flatMap((name) =>
      name ? [text.slice(name.start + 1, Math.min(name.end - 1, name.start + LONGEST_NAME))] : []
    );
    const param = path.join(".");
    throw new ApiError(code, `${param || "The body"}: ${problem}`, { param: param || undefined });
  };
  const count = (): void => {
    if (++values > maxJsonValues) {
      refuse("too_large", `the body must contain at most ${maxJsonValues} values`);
    }
  };
  let depth = 0;
  let values = 1;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: { // "
        const end = endOfString(text, at);
        if (isName(text, end)) {
          names[depth] = { start: at, end };
          if (isProto(text.slice(at + 1, end - 1))) {
            refuse("invalid_value", "a field must not have this name");
          }
        }
        at = end - 1;
        break;
      }
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > maxJsonDepth) {
          refuse("too_large", `the body must be nested at most ${maxJsonDepth} levels deep`);
        }
        names[depth] = undefined;
        count();
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth = Math.max(depth - 1, 0);
        names.length = Math.min(names.length, depth + 1);
        break;
      case 0x2c: // ,
        count();
    }
  }
}

/** Returns the index after a string's closing quote, or the text's length if the quote is missing. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return at + 1;
  }
  return text.length;
}

/** Whether the string that ends here is a field name. */
function isName(text: string, end: number): boolean {
  let at = end;
  while (isBlank(text.charCodeAt(at))) at++;
  return text.charCodeAt(at) === 0x3a;
}

/** Whether a character is JSON's white space. */
function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

/** Whether a name is `__proto__` after its escapes are resolved. */
function isProto(name: string): boolean {
  const resolved = name.length > LONGEST_NAME || !name.includes("\\") ? name : name.replaceAll(
    /\\u([0-9a-f]{4})/gi,
    (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return resolved === "__proto__";
}
