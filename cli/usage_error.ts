import { PixstageError } from "../errors/pixstage_error.ts";

/** The arguments of a command contradict each other or are incomplete. */
export class UsageError extends PixstageError<"usage"> {
  override name = "UsageError";

  /**
   * @param message What is wrong, and what to give instead.
   * @param field The field that the option at fault sets.
   */
  constructor(message: string, field?: string) {
    super("usage", message, { details: field === undefined ? undefined : { field } });
  }
}
