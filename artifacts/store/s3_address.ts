// This module is browser compatible.

/**
 * Addresses of stores in S3: `s3://bucket/prefix`.
 *
 * @module
 */

import { z } from "zod";
import { parseValue } from "../../errors/parse_value.ts";
import { InputError } from "../../errors/pixstage_error.ts";

/** Location of a store in S3. */
export interface S3Address {
  readonly bucket: string;
  /** Prefix of the objects' keys: empty, or a path that ends with a slash. */
  readonly prefix: string;
  /** The server, if the address names one. */
  readonly endpoint: string | undefined;
  /** The region, if the address names one. */
  readonly region: string | undefined;
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const PREFIX = /^[\w!.*'()/-]*$/;

const querySchema = z.strictObject({
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  region: z.string().regex(/^[a-z0-9-]+$/).optional(),
});

/** Returns whether a text is the address of a store in S3. */
export function isS3Address(text: string): boolean {
  return /^s3:\/\//i.test(text);
}

/**
 * Parses the address of a store in S3: `s3://bucket/prefix`, with `?endpoint=https://HOST` and `&region=NAME`
 * unless the environment sets them.
 *
 * @throws {InputError} if the text is not such an address.
 */
export function parseS3Address(text: string): S3Address {
  const url = isS3Address(text) && URL.canParse(text) ? new URL(text) : undefined;
  const path = url?.pathname.replace(/^\/+|\/+$/g, "") ?? "";
  const isPlain = url && url.username === "" && url.password === "" && url.port === "" && url.hash === "";
  if (!isPlain || !BUCKET.test(url.hostname) || !PREFIX.test(path) || path.includes("//")) {
    throw new InputError(
      "invalid_value",
      `A store's address in S3 must be s3://BUCKET/PREFIX, with letters, digits and -_.!*'(). The keys come from ` +
        `AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`,
    );
  }
  const { endpoint, region } = parseValue(querySchema, Object.fromEntries(url.searchParams));
  return { bucket: url.hostname, prefix: path === "" ? "" : `${path}/`, endpoint, region };
}
