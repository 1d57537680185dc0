/**
 * What can go wrong between here and a model hub.
 *
 * @module
 */

import { PixstageError } from "../errors/pixstage_error.ts";

/**
 * What went wrong:
 * - `unauthorized`: the model is gated or private, or the token is refused;
 * - `model_not_found`, `revision_not_found`, `file_not_found`: there is no such thing, or it is hidden;
 * - `unreachable`: the network or the server failed, also after retries;
 * - `offline`: the network must not be used, and the cache lacks something;
 * - `disk_full`: the files do not fit;
 * - `corrupt`: the bytes that came are not the ones announced;
 * - `unsupported`: the model is not in diffusers' folder layout.
 */
export type HubErrorCode =
  | "unauthorized"
  | "model_not_found"
  | "revision_not_found"
  | "file_not_found"
  | "unreachable"
  | "offline"
  | "disk_full"
  | "corrupt"
  | "unsupported";

/** A model that could not be fetched. */
export class HubError extends PixstageError<HubErrorCode> {
  override name = "HubError";
}
