import { PixstageError } from "../errors/pixstage_error.ts";

/** A command that was called with arguments that do not go together. */
export class UsageError extends PixstageError<"usage"> {
  override name = "UsageError";

  /**
   * @param message What does not go together, and what to give in its place.
   * @param field The field that the option at fault sets.
   */
  constructor(message: string, field?: string) {
    super("usage", message, { details: field === undefined ? undefined : { field } });
  }
}
