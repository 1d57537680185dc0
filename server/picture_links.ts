/**
 * Links to pictures that can be followed without the API key for a while, as those of the OpenAI API can:
 * what fetches a picture, a browser or a chat program, does not hold the key of who asked for it.
 *
 * @module
 */

import { createHmac, timingSafeEqual } from "node:crypto";

/** Seconds that a link is good for unless the operator says otherwise, as long as OpenAI's own. */
export const LINK_SECONDS = 3600;

const PICTURE = /^\/v1\/artifacts\/[0-9a-f]{64}\/images\/\d{1,3}$/;

/** Makes and checks links to pictures. */
export class PictureLinks {
  #key: string | undefined;
  #seconds: number;

  /**
   * @param apiKey The server's API key, with which links are signed. Without one they are plain.
   * @param seconds How long a link is good for.
   */
  constructor(apiKey: string | undefined, seconds: number = LINK_SECONDS) {
    this.#key = apiKey;
    this.#seconds = seconds;
  }

  /**
   * A link to a picture.
   *
   * @param path The picture's path on this server.
   * @param query How the picture is to be written.
   * @returns The path with its query, signed where there is an API key.
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
   * Whether a request follows a link that is signed and still good.
   *
   * @param path The request's path.
   * @param query Its query.
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
