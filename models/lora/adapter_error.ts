// This module is browser compatible.

import { PixstageError, type PixstageErrorOptions } from "../../errors/pixstage_error.ts";

/** Codes of adapter errors. */
export type AdapterErrorCode = "invalid_adapter" | "adapter_not_found";

/**
 * Thrown if a LoRA adapter cannot be used: it is another kind of adapter, belongs to another model, or is
 * damaged.
 */
export class AdapterError extends PixstageError<AdapterErrorCode> {
  override name = "AdapterError";

  /**
   * @param message The adapter, the problem, and what to do.
   * @param options The code, by default `invalid_adapter`, and the cause.
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
