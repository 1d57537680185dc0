// This module is browser compatible.

import { PixstageError } from "../errors/pixstage_error.ts";

/** A server did not give the bytes that were asked for; the message names the address. */
export class FetchError extends PixstageError<"request_failed"> {
  override name = "FetchError";

  /** @param message Which address, and what its server answered. */
  constructor(message: string) {
    super("request_failed", message);
  }
}

/**
 * Fetches a file, or some of its bytes.
 *
 * @param fetcher Fetches.
 * @param url The file.
 * @param part First byte, and one past the last one. Default is the whole file.
 * @returns Exactly the bytes asked for.
 * @throws {FetchError} if the server does not give them.
 */
export async function fetchBytes(
  fetcher: typeof fetch,
  url: URL,
  part?: { readonly start: number; readonly end: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const headers: HeadersInit = part ? { range: `bytes=${part.start}-${part.end - 1}` } : {};
  const response = await fetcher(url, { headers });
  if (!response.ok) {
    throw new FetchError(`Cannot read ${url} as the server answered ${response.status}`);
  }
  if (part && response.status !== 206) {
    await response.body?.cancel();
    throw new FetchError(
      `Cannot read a part of ${url} as its server must honour the header Range: it answered ${response.status}`,
    );
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (part && bytes.length !== part.end - part.start) {
    throw new FetchError(
      `Cannot read ${url} as it must hold ${part.end} bytes: ${bytes.length} of ${
        part.end - part.start
      } came`,
    );
  }
  return bytes;
}
