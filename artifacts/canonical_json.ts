// This module is browser compatible.

/**
 * JSON with a single spelling per value. Equal values thus produce equal bytes, equal hashes and equal cache
 * keys. Source: RFC 8785, JSON Canonicalization Scheme.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { JsonValue } from "./artifact.ts";
import { sha256 } from "./sha256.ts";

/**
 * Returns the SHA-256 of a value's canonical JSON.
 *
 * @param value The value.
 * @returns 64 hexadecimal digits. Equal values have equal digits.
 */
export async function hashJson(value: JsonValue): Promise<string> {
  return await sha256(new TextEncoder().encode(canonicalJson(value)));
}

/**
 * Converts a value to JSON. Undefined fields are left out; infinities and bigints become strings.
 *
 * @param value The value.
 * @returns Plain JSON.
 */
export function asJson(value: unknown): JsonValue {
  return JSON.parse(
    JSON.stringify(value, (_key, part) => {
      const hasNoJson = typeof part === "bigint" || (typeof part === "number" && !Number.isFinite(part));
      return hasNoJson ? String(part) : part;
    }) ?? "null",
  );
}

/**
 * Writes a value as JSON without whitespace, with keys sorted by their UTF-16 units.
 *
 * @param value The value.
 * @returns Its canonical spelling.
 * @throws {InputError} if a part of it is not JSON: `undefined`, a function, NaN or an infinity.
 *
 * @example Usage
 * ```ts
 * import { canonicalJson } from "./canonical_json.ts";
 *
 * console.assert(canonicalJson({ steps: 4, seed: 1 }) === '{"seed":1,"steps":4}');
 * ```
 */
export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const object = value as { readonly [key: string]: JsonValue };
    const fields = Object.keys(object).sort().map((key) =>
      `${JSON.stringify(key)}:${canonicalJson(object[key]!)}`
    );
    return `{${fields.join(",")}}`;
  }
  const isJson = value === null || typeof value === "string" || typeof value === "boolean" ||
    Number.isFinite(value);
  if (!isJson) {
    throw new InputError(
      "invalid_value",
      `Cannot write a value as JSON: ${String(value)} is not a JSON value`,
    );
  }
  return JSON.stringify(value);
}
