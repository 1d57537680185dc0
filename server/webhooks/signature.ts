/**
 * Webhook signatures according to Standard Webhooks: https://www.standardwebhooks.com.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import { Buffer } from "node:buffer";
import { InputError } from "../../errors/pixstage_error.ts";

const PREFIX = "whsec_";

/** Minimum and maximum length of a secret in bytes, from the specification. */
const LEAST_BYTES = 24;
const MOST_BYTES = 64;

/**
 * Parses a secret.
 *
 * @param text `whsec_` and the base64 of 24 to 64 bytes.
 * @returns The bytes.
 * @throws {InputError} if it is malformed.
 */
export function webhookSecret(text: string): Uint8Array {
  const encoded = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : "";
  const bytes = Buffer.from(encoded, "base64");
  const isBase64 = /^[A-Za-z\d+/]+={0,2}$/.test(encoded);
  if (isBase64 && bytes.length >= LEAST_BYTES && bytes.length <= MOST_BYTES) return bytes;
  throw new InputError(
    "invalid_value",
    `The webhook secret must be ${PREFIX} followed by the base64 of ${LEAST_BYTES} to ${MOST_BYTES} bytes`,
  );
}

/**
 * Returns the headers that identify a webhook, its time and its sender.
 *
 * @param id The webhook's id, which is the same for each attempt.
 * @param seconds The time of the attempt, in seconds since 1970.
 * @param body The body.
 * @param secret The secret.
 */
export function signatureHeaders(
  id: string,
  seconds: number,
  body: string,
  secret: Uint8Array,
): Record<string, string> {
  const signature = createHmac("sha256", secret).update(`${id}.${seconds}.${body}`).digest("base64");
  return {
    "webhook-id": id,
    "webhook-timestamp": String(seconds),
    "webhook-signature": `v1,${signature}`,
  };
}
