/**
 * Temporary picture links that work without the API key, as the OpenAI API has them. The program that fetches
 * a picture, e.g. a browser or a chat program, does not have the key of the client that asked for it.
 *
 * @module
 */

import { createHmac, timingSafeEqual } from "node:crypto";

/** Default lifetime of a link in seconds, the same as OpenAI's. */
export const LINK_SECONDS = 3600;

const PICTURE = /^\/v1\/artifacts\/[0-9a-f]{64}\/images\/\d{1,3}$/;

/** Creates and verifies picture links. */
export class PictureLinks {
  #key: string | undefined;
  #seconds: number;

  /**
   * @param apiKey The server's API key, which signs the links. Without a key, links are unsigned.
   * @param seconds Lifetime of a link.
   */
  constructor(apiKey: string | undefined, seconds: number = LINK_SECONDS) {
    this.#key = apiKey;
    this.#seconds = seconds;
  }

  /**
   * Creates a link to a picture.
   *
   * @param path The picture's path on this server.
   * @param query Query that selects the picture's format.
   * @returns The path with its query, signed if there is an API key.
   */
  link(path: string, query: URLSearchParams): string {
    const signed = new URLSearchParams(query);
    if (this.#key !== undefined) {
      signed.set("expires", String(Math.floor(Date.now() / 1000) + this.#seconds));
      signed.set("signature", this.#sign(this.#key, path, signed).toString("hex"));
    }
    return signed.size === 0 ? path : `${path}?${signed}`;
  }

  /**
   * Whether a request's link is signed and has not expired.
   *
   * @param path The request's path.
   * @param query The request's query.
   */
  isGood(path: string, query: URLSearchParams): boolean {
    const given = Buffer.from(query.get("signature") ?? "", "hex");
    if (this.#key === undefined || !PICTURE.test(path)) return false;
    const expected = this.#sign(this.#key, path, query);
    const isOurs = given.length === expected.length && timingSafeEqual(given, expected);
    return isOurs && Date.now() / 1000 < Number(query.get("expires"));
  }

  #sign(key: string, path: string, query: URLSearchParams): Buffer {
    const named = [...query].filter(([name]) => name !== "signature").sort();
    const text = JSON.stringify(["pixstage picture", path, named]);
    return createHmac("sha256", key).update(text).digest();
  }
}
