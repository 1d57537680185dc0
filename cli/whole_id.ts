import { UsageError } from "./usage_error.ts";

/**
 * The id that begins as the user wrote it.
 *
 * @param start What the user wrote.
 * @param all The ids that there are.
 * @param what What they name, for errors: `artifact in the store`.
 * @returns The id.
 * @throws {UsageError} if none does, or several do.
 */
export function wholeId(start: string, all: readonly string[], what: string): string {
  const [first, ...others] = all.filter((id) => id.startsWith(start.toLowerCase()));
  if (first !== undefined && others.length === 0 && start !== "") return first;
  throw new UsageError(
    first === undefined
      ? `Cannot find ${start} as there is no ${what} whose id begins so`
      : `Cannot choose by ${JSON.stringify(start)} as it must be the beginning of one id: it is that of ${
        others.length + 1
      }`,
  );
}
