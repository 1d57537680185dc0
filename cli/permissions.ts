/**
 * Prints Deno's permission flags for a set of permissions. The tasks of `deno.json` start programs with them:
 *
 *     deno run $(deno run -q cli/permissions.ts pictures) cli.ts gen "cute cat"
 *
 * @module
 */

import process, { stderr, stdout } from "node:process";
import { PERMISSION_SETS, permissionFlags, permissionSet } from "../runtime/permissions.ts";

if (import.meta.main) {
  const name = PERMISSION_SETS.find((name) => name === process.argv[2]);
  if (name === undefined) {
    stderr.write(`error: Name one set of permissions: ${PERMISSION_SETS.join(", ")}\n`);
    process.exit(2);
  }
  stdout.write(`${permissionFlags(permissionSet(name)).join(" ")}\n`);
}
