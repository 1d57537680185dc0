// This module is browser compatible.

/**
 * Records with their own SHA-256, which detects a flipped bit.
 *
 * @module
 */

import { z } from "zod";
import type { JsonObject } from "../artifact.ts";
import { artifactId } from "../artifact_file.ts";
import { canonicalJson } from "../canonical_json.ts";

const sealedSchema = z.strictObject({ record: z.custom<JsonObject>(), sha256: z.string() });

/** Encodes a record as the bytes of its file. */
export async function sealRecord(record: JsonObject): Promise<Uint8Array> {
  const sha256 = await digest(canonicalJson(record));
  return new TextEncoder().encode(`${canonicalJson({ record, sha256 })}\n`);
}

/** Decodes a record, or returns `undefined` if its bytes have changed. */
export async function openRecord(bytes: Uint8Array): Promise<JsonObject | undefined> {
  try {
    const { record, sha256 } = sealedSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
    return await digest(canonicalJson(record)) === sha256 ? record : undefined;
  } catch {
    return undefined;
  }
}

async function digest(text: string): Promise<string> {
  return await artifactId(new TextEncoder().encode(text));
}
