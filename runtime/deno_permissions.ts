/**
 * What Deno permits this program to do.
 *
 * @module
 */

/** The kinds of permissions, and what a run needs each for. */
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

/** What Deno answers about a permission. It asks the user for a permission in the state `prompt`. */
export type PermissionState = "granted" | "prompt" | "denied";

/**
 * Returns the state of each permission. A permission for some paths or names only has the state `prompt`.
 *
 * @returns The states, or `undefined` under Node, which permits everything.
 */
export async function denoPermissions(): Promise<
  Readonly<Record<PermissionName, PermissionState>> | undefined
> {
  if (typeof Deno === "undefined") return undefined;
  const state = async (name: PermissionName): Promise<PermissionState> =>
    (await Deno.permissions.query({ name })).state;
  return {
    read: await state("read"),
    write: await state("write"),
    env: await state("env"),
    ffi: await state("ffi"),
    sys: await state("sys"),
    net: await state("net"),
    run: await state("run"),
  };
}
