/**
 * Decodes pictures in JSON, in the web UI's format: base64, with or without the prefix of a data URL.
 *
 * @module
 */

import { fromBase64 } from "../../artifacts/base64.ts";
import { ApiError } from "../api_error.ts";

/**
 * Decodes a picture.
 *
 * @param text The base64 text of a file.
 * @param param The request field that contains it.
 * @returns The file.
 * @throws {ApiError} 400 if the text is not base64, or if it is an address. The server never opens addresses.
 */
export function pictureBytes(text: string, param: string): Uint8Array<ArrayBuffer> {
  const refuse = (problem: string): never => {
    throw new ApiError("invalid_value", `${param}: ${problem}`, { param });
  };
  if (/^\s*https?:/i.test(text)) refuse("must be a picture in base64: this server does not fetch addresses");
  const start = text.startsWith("data:") ? text.indexOf(",") + 1 : 0;
  try {
    const bytes = fromBase64(text.slice(start).trim());
    if (bytes.length > 0) return bytes;
  } catch {
    // The text is refused below.
  }
  return refuse("must be a PNG, JPEG or WebP file in base64");
}
