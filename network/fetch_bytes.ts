// This module is browser compatible.

import { PixstageError } from "../errors/pixstage_error.ts";

/** A server did not return the requested bytes. The message names the URL. */
export class FetchError extends PixstageError<"request_failed"> {
  override name = "FetchError";

  /** @param message The URL, and what its server answered. */
  constructor(message: string) {
    super("request_failed", message);
  }
}

/**
 * Fetches a file, or some of its bytes.
 *
 * @param fetcher Sends the request.
 * @param url The file.
 * @param part Position of the first byte, and one past the last one. The default is the whole file.
 * @returns Exactly the requested bytes.
 * @throws {FetchError} if the server does not return them.
 */
export async function fetchBytes(
  fetcher: typeof fetch,
  url: URL,
  part?: { readonly start: number; readonly end: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const headers: HeadersInit = part ? { range: `bytes=${part.start}-${part.end - 1}` } : {};
  const response = await fetcher(url, { headers });
  if (!response.ok) {
    throw new FetchError(`Cannot read ${url}: the server answered ${response.status}`);
  }
  if (part && response.status !== 206) {
    await response.body?.cancel();
    throw new FetchError(
      `Cannot read a part of ${url}: its server must support the header Range, but answered ${response.status}`,
    );
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (part && bytes.length !== part.end - part.start) {
    throw new FetchError(
      `Cannot read ${url}: it must have at least ${part.end} bytes, but ${bytes.length} of ${
        part.end - part.start
      } came`,
    );
  }
  return bytes;
}
