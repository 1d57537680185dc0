// This module is browser compatible.

/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The range that a `Range` header asks for (RFC 9110, section 14.2).
 *
 * @param header The header's value.
 * @param size Size of what is asked for, in bytes.
 * @returns The range; `undefined` where all is to be sent: no header, several ranges, or one that is not
 * understood.
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
 * The range that a request asks for, unless `If-Range` names another content than there is (RFC 9110, section
 * 13.1.5).
 *
 * @param headers The request's headers.
 * @param size Size of what is asked for, in bytes.
 * @param etag The strong entity tag of what is asked for, in quotes.
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
