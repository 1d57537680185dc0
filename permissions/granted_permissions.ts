/**
 * The permissions that Deno grants to this program.
 *
 * @module
 */

import { holdsNeeded } from "./permission_sets.ts";

/** The kinds of permissions, and why a run needs each of them. */
export const PERMISSIONS = {
  read: "to read models",
  write: "to write pictures and the store",
  env: "to read settings from the environment",
  ffi: "to load ONNX Runtime",
  sys: "to ask for the memory and the processors of the machine",
  net: "to download models, and to serve",
  run: "to run stages in child processes, and to measure the memory of NVIDIA GPUs",
} as const;

/** The name of a permission. */
export type PermissionName = keyof typeof PERMISSIONS;

/**
 * The state of a permission. `limited` means that Deno grants exactly what a run needs. In the state
 * `prompt`, Deno asks the user.
 */
export type PermissionState = "granted" | "limited" | "prompt" | "denied";

/**
 * Returns the state of each permission.
 *
 * @returns The states, or `undefined` under Node, which permits everything.
 */
export function denoPermissions(): Readonly<Record<PermissionName, PermissionState>> | undefined {
  if (typeof Deno === "undefined") return undefined;
  const state = (name: PermissionName): PermissionState => {
    const { state } = Deno.permissions.querySync({ name });
    return state === "granted" || !holdsNeeded(name) ? state : "limited";
  };
  return {
    read: state("read"),
    write: state("write"),
    env: state("env"),
    ffi: state("ffi"),
    sys: state("sys"),
    net: state("net"),
    run: state("run"),
  };
}
