/**
 * Prints Deno's permission flags for a set of permissions, changed by further flags. The tasks of `deno.json`
 * start programs with them:
 *
 *     deno run $(deno run -q cli/permissions.ts pictures --allow-run=ffmpeg) cli.ts gen "cute cat"
 *
 * @module
 */

import process, { stderr, stdout } from "node:process";
import {
  changedSet,
  PERMISSION_SETS,
  permissionFlags,
  permissionSet,
} from "../permissions/permission_sets.ts";

if (import.meta.main) {
  const [, , wanted, ...changes] = process.argv;
  const name = PERMISSION_SETS.find((name) => name === wanted);
  if (name === undefined) {
    stderr.write(`error: Name one set of permissions: ${PERMISSION_SETS.join(", ")}\n`);
    process.exit(2);
  }
  const { set, others } = changedSet(permissionSet(name), changes);
  stdout.write(`${[...permissionFlags(set), ...others].join(" ")}\n`);
}
