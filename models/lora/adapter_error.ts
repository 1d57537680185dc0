// This module is browser compatible.

import { PixstageError, type PixstageErrorOptions } from "../../errors/pixstage_error.ts";

/** The codes of errors of adapters. */
export type AdapterErrorCode = "invalid_adapter" | "adapter_not_found";

/** A LoRA adapter that cannot be used: another kind of adapter, one of another model, or a damaged one. */
export class AdapterError extends PixstageError<AdapterErrorCode> {
  override name = "AdapterError";

  /**
   * @param message Which adapter, what is wrong with it, and what to do.
   * @param options The code, which is `invalid_adapter` by default, and the error behind this one.
   */
  constructor(
    message: string,
    { code = "invalid_adapter", ...options }: PixstageErrorOptions & {
      readonly code?: AdapterErrorCode;
    } = {},
  ) {
    super(code, message, { details: { field: "loras" }, ...options });
  }
}
