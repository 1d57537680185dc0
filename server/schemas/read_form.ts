import { Buffer } from "node:buffer";
import { ApiError } from "../api_error.ts";
import { MOST_FIELDS } from "./edit_form.ts";

const BOUNDARY = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i;

/**
 * Reads the body of a request as a form. Counts its parts first, because parsing blocks the event loop for
 * each of them.
 *
 * @param request The request.
 * @returns The form.
 * @throws {ApiError} 415 if the body is not a form, 413 if it has too many fields, 400 if it cannot be parsed.
 */
export async function readForm(request: Request): Promise<FormData> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^multipart\/form-data\b/i.test(type)) {
    throw new ApiError(
      "unsupported_media_type",
      "Send a form, with the header Content-Type: multipart/form-data",
    );
  }
  const [, quoted, plain] = BOUNDARY.exec(type) ?? [];
  const boundary = quoted ?? plain;
  try {
    const bytes = await request.bytes();
    if (boundary === undefined) throw new SyntaxError("There is no boundary");
    requireFewParts(bytes, `--${boundary}`);
    // The parser gets the boundary whose parts were counted.
    const headers = { "content-type": `multipart/form-data; boundary="${boundary}"` };
    return await new Response(bytes, { headers }).formData();
  } catch (error) {
    if (request.signal.aborted || error instanceof ApiError) throw error;
    throw new ApiError("bad_request", "The body is not valid multipart/form-data");
  }
}

/** Refuses a body in which more parts begin than a form may have. The last delimiter ends the form. */
function requireFewParts(bytes: Uint8Array<ArrayBuffer>, delimiter: string): void {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let parts = -1;
  for (let at = body.indexOf(delimiter); at >= 0; at = body.indexOf(delimiter, at + delimiter.length)) {
    if (++parts > MOST_FIELDS) {
      throw new ApiError("too_large", `The form must have at most ${MOST_FIELDS} fields`);
    }
  }
}
