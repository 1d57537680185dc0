import { UsageError } from "./usage_error.ts";

/**
 * Completes an abbreviated id.
 *
 * @param start The first digits of the id.
 * @param all All existing ids.
 * @param what The noun for the things that the ids name, for errors: `artifact in the store`.
 * @returns The full id.
 * @throws {UsageError} if no id or several ids start with these digits.
 */
export function wholeId(start: string, all: readonly string[], what: string): string {
  const [first, ...others] = all.filter((id) => id.startsWith(start.toLowerCase()));
  if (first !== undefined && others.length === 0 && start !== "") return first;
  throw new UsageError(
    first === undefined
      ? `Cannot find ${start}: there is no ${what} whose id starts with it`
      : `${JSON.stringify(start)} does not identify one ${what}: it is the beginning of ${others.length + 1}`,
  );
}
