/**
 * Judges what Deno permits. This module imports nothing that a missing permission would keep from loading.
 *
 * @module
 */

import {
  type PermissionName,
  PERMISSIONS,
  type PermissionState,
} from "../../permissions/granted_permissions.ts";

/** Something wrong with a machine. */
export interface Finding {
  /** Whether the finding prevents a run. Otherwise it only limits what a run can do. */
  readonly prevents: boolean;
  /** The problem, as a sentence. */
  readonly problem: string;
  /** The advice, as a sentence. */
  readonly advice: string;
}

/** The permissions without which no picture can be made. */
const NEEDED: readonly PermissionName[] = ["read", "write", "env", "ffi", "sys"];

/** Finds the permissions that Deno has not granted. */
export function permissionFindings(
  permissions: Readonly<Partial<Record<PermissionName, PermissionState>>>,
): readonly Finding[] {
  const missing = Object.entries(PERMISSIONS).filter(([name]) =>
    !["granted", "limited"].includes(permissions[name as PermissionName] ?? "granted")
  );
  return missing.map(([name, purpose]) => ({
    prevents: (NEEDED as readonly string[]).includes(name),
    problem: `Deno does not grant --allow-${name}, which pixstage needs ${purpose}`,
    advice: `Add --allow-${name}, or run a task of deno.json, which grants what its command needs`,
  }));
}

/** Formats what is wrong, and what to do about it. */
export function describeFindings(found: readonly Finding[]): readonly string[] {
  if (found.length === 0) return ["Nothing is wrong."];
  return found.flatMap(({ prevents, problem, advice }) => [
    `${prevents ? "PROBLEM" : "warning"}: ${problem}.`,
    `  ${advice}.`,
  ]);
}
