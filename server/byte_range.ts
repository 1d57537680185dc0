// This module is browser compatible.

/** Bytes from `start` up to, but not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Parses a `Range` header (RFC 9110, section 14.2).
 *
 * @param header The header's value.
 * @param size Size of the resource in bytes.
 * @returns The range; `undefined` if the whole resource is to be sent, because the header is absent, has
 * several ranges, or is malformed.
 */
export function byteRange(
  header: string | undefined,
  size: number,
): ByteRange | "unsatisfiable" | undefined {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return undefined;
  if (start >= size) return "unsatisfiable";
  return { start, end: last === "" ? size : Math.min(Number(last) + 1, size) };
}

/**
 * Returns the range that a request asks for, unless `If-Range` names a different version of the content (RFC
 * 9110, section 13.1.5).
 *
 * @param headers The request's headers.
 * @param size Size of the resource in bytes.
 * @param etag The resource's strong entity tag, in quotes.
 * @returns As {@linkcode byteRange}.
 */
export function requestedRange(
  headers: Headers,
  size: number,
  etag: string,
): ByteRange | "unsatisfiable" | undefined {
  const condition = headers.get("if-range")?.trim() ?? etag;
  return condition === etag ? byteRange(headers.get("range") ?? undefined, size) : undefined;
}
