/**
 * Signatures of webhooks, as Standard Webhooks has them: https://www.standardwebhooks.com.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import { Buffer } from "node:buffer";
import { InputError } from "../../errors/pixstage_error.ts";

const PREFIX = "whsec_";

/** Bytes that a secret has at least and at most, as the specification asks. */
const LEAST_BYTES = 24;
const MOST_BYTES = 64;

/**
 * Reads a secret.
 *
 * @param text `whsec_` and the base64 of 24 to 64 bytes.
 * @returns The bytes.
 * @throws {InputError} if it is none.
 */
export function webhookSecret(text: string): Uint8Array {
  const encoded = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : "";
  const bytes = Buffer.from(encoded, "base64");
  const isBase64 = /^[A-Za-z\d+/]+={0,2}$/.test(encoded);
  if (isBase64 && bytes.length >= LEAST_BYTES && bytes.length <= MOST_BYTES) return bytes;
  throw new InputError(
    "invalid_value",
    `The secret of webhooks must be ${PREFIX} and the base64 of ${LEAST_BYTES} to ${MOST_BYTES} bytes`,
  );
}

/**
 * The headers that say who sent a webhook, and when.
 *
 * @param id The webhook's id, the same at each attempt.
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
