/**
 * The Deno permissions of pixstage's programs. The tasks of `deno.json` and the processes that run stages
 * take their flags from here.
 *
 * @module
 */

import { basename, dirname, resolve } from "node:path";
import process from "node:process";

/** A kind of permission. Deno's flag for it is `--allow-` and the name. */
type PermissionKind = "read" | "write" | "net" | "env" | "sys" | "run" | "ffi";

/** A set of permissions: kinds, each with what it is limited to, or `true` for no limit. */
type Permissions = Readonly<Partial<Record<PermissionKind, true | readonly string[]>>>;

/** Environment variables that pixstage, its libraries and the drivers read. `*` stands for any ending. */
const VARIABLES = [
  ...["PIXSTAGE_*", "HF_*", "AWS_*", "PG*", "OTEL_*", "DENO_*", "XDG_*"],
  ...["HOME", "USERPROFILE", "LOCALAPPDATA", "USER", "USERNAME", "TMPDIR", "TMP", "TEMP", "INIT_CWD"],
  ...["PATH", "PATHEXT", "SystemRoot", "LANG", "LC_ALL", "TZ"],
  ...["TERM", "COLORTERM", "COLUMNS", "NO_COLOR", "FORCE_COLOR"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"],
  ...["http_proxy", "https_proxy", "all_proxy", "no_proxy"],
  ...["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"],
  ...["ORT_*", "CUDA_*", "NVIDIA_*", "VK_*", "MALLOC_*", "OMP_*"],
] as const;

/** Facts about the system: names of this machine and its user's folder, memory, disk space, priorities. */
const FACTS = ["hostname", "homedir", "systemMemoryInfo", "statfs", "setPriority"] as const;

/**
 * Locations of the NVIDIA driver's tool. Deno reports a program that it cannot find by name at every start, but
 * is silent about a missing path.
 */
const DRIVER_TOOLS = process.platform === "win32"
  ? ["C:\\Windows\\System32\\nvidia-smi.exe"]
  : ["/usr/bin/nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"];

const ALL = true;
const LIBRARIES = { env: VARIABLES, sys: FACTS, ffi: ALL } as const;

/** Names of the sets. Each task of `deno.json` names one. */
export const PERMISSION_SETS = ["catalogue", "reader", "writer", "devices", "pictures", "stage"] as const;

/** The name of a set of permissions. */
export type PermissionSet = typeof PERMISSION_SETS[number];

/**
 * Returns a set of permissions.
 *
 * @param name The name of the set.
 */
export function permissionSet(name: PermissionSet): Permissions {
  switch (name) {
    // Lists what the code and plugins contain.
    case "catalogue":
      return { read: ALL, env: VARIABLES };
    // Reads files and caches, and their descriptions on the hub.
    case "reader":
      return { read: ALL, net: ALL, env: VARIABLES, sys: FACTS };
    // Looks after a store, which may be in S3, and after caches.
    case "writer":
      return { read: ALL, write: ALL, net: ALL, ...LIBRARIES };
    // Tries devices, and installs their libraries beside ONNX Runtime's.
    case "devices":
      return { read: ALL, write: ALL, run: DRIVER_TOOLS, ...LIBRARIES };
    // Makes pictures, alone, as a server or as a worker, and starts this program again to run stages.
    case "pictures":
      return { read: ALL, write: ALL, net: ALL, run: [process.execPath, ...DRIVER_TOOLS], ...LIBRARIES };
    // Runs stages for another process.
    case "stage":
      return { read: ALL, write: ALL, net: ALL, run: DRIVER_TOOLS, ...LIBRARIES };
  }
}

/** Options of {@linkcode heldFlags}. */
export interface HeldFlagsOptions {
  /** Files and folders that the program needs, for a process that does not have the whole disk itself. */
  readonly paths: readonly string[];
  /**
   * Whether the program needs the network.
   *
   * @default {true}
   */
  readonly network?: boolean;
}

/**
 * Returns Deno's flags for a set of permissions. Environment variables outside of the set are absent for the
 * program, because libraries look for many and would fail on a refusal.
 *
 * @param set The permissions.
 * @returns The flags, each in one word. A program whose path contains a space goes by its name.
 */
export function permissionFlags(set: Permissions): string[] {
  const flags = Object.entries(set).flatMap(([kind, limits]) => {
    if (limits === ALL) return [`--allow-${kind}`];
    return limits.length === 0 ? [] : [`--allow-${kind}=${limits.map(oneWord).join(",")}`];
  });
  return ["--no-prompt", ...flags, ...(set.env === undefined || set.env === ALL ? [] : ["--ignore-env"])];
}

/**
 * Returns Deno's flags for a program that this process starts: a set of permissions, as far as this process has
 * them. `PIXSTAGE_PERMISSIONS` adds flags, as it does for the tasks.
 *
 * @param set The name of the set.
 * @param options What the program needs.
 * @returns The flags.
 */
export function heldFlags(set: PermissionSet, { paths, network = true }: HeldFlagsOptions): string[] {
  const { env, sys, run, ...wanted } = permissionSet(set);
  const own: Permissions = {
    ...wanted,
    read: heldPaths("read", paths),
    write: heldPaths("write", paths),
    ffi: heldPaths("ffi", paths),
    net: network && holds({ name: "net" }) ? ALL : [],
    env: holds({ name: "env" }) || held(env, (variable) => ({ name: "env", variable })),
    sys: held(sys, (kind) => ({ name: "sys", kind } as Deno.SysPermissionDescriptor)),
    run: held(run, (command) => ({ name: "run", command })),
  };
  return [...permissionFlags(own), ...furtherFlags()];
}

/** Returns the flags of `PIXSTAGE_PERMISSIONS`. */
function furtherFlags(): string[] {
  return (process.env["PIXSTAGE_PERMISSIONS"] ?? "").split(/\s+/).filter((flag) => flag !== "");
}

/** Returns `true` for the whole disk, and otherwise the widest folders around the paths. */
function heldPaths(name: "read" | "write" | "ffi", paths: readonly string[]): true | string[] {
  if (holds({ name })) return ALL;
  const isHeld = (path: string): boolean => holds({ name, path });
  const widest = (path: string): string => {
    const folder = dirname(path);
    return folder !== path && isHeld(folder) ? widest(folder) : path;
  };
  return [...new Set(paths.map((path) => resolve(path)).filter(isHeld).map(widest))];
}

function held(
  limits: true | readonly string[] | undefined,
  descriptor: (limit: string) => Deno.PermissionDescriptor,
): string[] {
  return limits === ALL || limits === undefined ? [] : limits.filter((limit) => holds(descriptor(limit)));
}

function holds(descriptor: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(descriptor).state === "granted";
}

/** Replaces a path that a shell would split by the program's name. */
function oneWord(limit: string): string {
  return limit.includes(" ") ? basename(limit) : limit;
}
