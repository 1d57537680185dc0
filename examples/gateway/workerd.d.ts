/** Types that workerd provides in addition to Web APIs. */

/** A stream of a known length, which `fetch` sends with Content-Length. */
declare class FixedLengthStream extends TransformStream<Uint8Array, Uint8Array> {
  constructor(bytes: number);
}

/** Hashes the bytes that are written to it. */
interface DigestStream extends WritableStream<Uint8Array> {
  readonly digest: Promise<ArrayBuffer>;
}

interface Crypto {
  readonly DigestStream: new (algorithm: string) => DigestStream;
}
