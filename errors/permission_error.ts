// This module is browser compatible.

/**
 * Refusals by Deno, whose programs have only the permissions that their flags grant.
 *
 * @module
 */

import { PixstageError } from "./pixstage_error.ts";

/** Where permissions are added. */
const PLACE = "the flags of deno run, or to PIXSTAGE_PERMISSIONS for a task";

/** Thrown if Deno does not permit an operation. The message names the flag that permits it. */
export class PermissionError extends PixstageError<"not_permitted"> {
  override name = "PermissionError";

  /**
   * @param kind The kind of permission: `read`, `net` …, or `all`.
   * @param target What it is missing for: a path, a host, a variable, a program. Default is any.
   * @param options The error that Deno threw.
   */
  constructor(kind: string, target?: string, options?: ErrorOptions) {
    // A file is written under another name first, so the permission is for its folder.
    const place = kind === "write" && target !== undefined ? folderOf(target) : target;
    const access = `${kind} access${place === undefined ? "" : ` to ${JSON.stringify(place)}`}`;
    const flag = `--allow-${kind}${place === undefined ? "" : `=${place}`}`;
    super(
      "not_permitted",
      kind === "all"
        ? `Deno does not permit access to ${
          JSON.stringify(target)
        }: it opens files under /dev, /proc and /sys only ` +
          "with --allow-all. Name another file"
        : `Deno does not permit ${access}. To permit it, add ${flag} to ${PLACE}`,
      { ...options, details: { permission: kind, target: place ?? null } },
    );
  }
}

function folderOf(path: string): string {
  return path.replace(/[\\/][^\\/]*$/, "") || path;
}

/** Deno's message about a missing permission, e.g. `Requires read access to "/etc", run again with …`. */
const MESSAGE = /^Requires (\w+) access(?: to "(.*)")?, run again/;

/**
 * Returns the error for a refusal by Deno.
 *
 * @param error Any thrown value.
 * @returns The error, or `undefined` if Deno did not refuse anything.
 */
export function permissionError(error: unknown): PermissionError | undefined {
  for (let reason = error; reason instanceof Error; reason = reason.cause) {
    if (reason instanceof PermissionError) return reason;
    const [, kind, target] = MESSAGE.exec(reason.message) ?? [];
    if (kind !== undefined) return new PermissionError(kind, target, { cause: error });
  }
  return undefined;
}
