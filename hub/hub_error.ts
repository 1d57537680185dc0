/**
 * What can go wrong between here and a model hub.
 *
 * @module
 */

/**
 * What went wrong:
 * - `unauthorized`: the model is gated or private, or the token is refused;
 * - `model_not_found`, `revision_not_found`, `file_not_found`: there is no such thing, or it is hidden;
 * - `unreachable`: the network or the server failed, also after retries;
 * - `offline`: the network must not be used, and the cache lacks something;
 * - `disk_full`: the files do not fit;
 * - `read_only`: the cache cannot be written, and lacks something;
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
  | "read_only"
  | "corrupt"
  | "unsupported";

/** What else there is to say of a {@linkcode HubError}. */
export interface HubErrorOptions extends ErrorOptions {
  /** What to do about it, as a sentence without its full stop. */
  readonly advice?: string | undefined;
}

/** A model that could not be fetched. */
export class HubError extends Error {
  override name = "HubError";
  /** What went wrong. */
  readonly code: HubErrorCode;
  /** What went wrong in words: the message without the advice. */
  readonly problem: string;
  /** What to do about it. */
  readonly advice: string | undefined;

  /**
   * @param code What went wrong.
   * @param problem The same in words, without a full stop.
   * @param options What to do about it, and the error behind this one.
   */
  constructor(code: HubErrorCode, problem: string, options: HubErrorOptions = {}) {
    const { advice, ...rest } = options;
    super(advice === undefined ? problem : `${problem}. ${advice}`, rest);
    this.code = code;
    this.problem = problem;
    this.advice = advice;
  }
}
