/**
 * The Deno permissions of pixstage's programs. The tasks of `deno.json` and the processes that run stages
 * take their flags from here.
 *
 * @module
 */

import { basename, dirname, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { defaultStoreFolder } from "../artifacts/store/default_folder.ts";
import { PermissionError } from "../errors/permission_error.ts";

/** Kinds of permissions. Deno's flag for a kind is `--allow-` and its name. */
const KINDS = ["read", "write", "net", "env", "sys", "run", "ffi"] as const;

type PermissionKind = typeof KINDS[number];

/** What a permission is limited to, or `true` for no limit. */
type Limits = true | readonly string[];

/** A set of permissions. */
export type Permissions = Readonly<Partial<Record<PermissionKind, Limits>>>;

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

/** Facts about the system: its names, memory, disk space and processors, and the priority of this process. */
const FACTS = [
  "hostname",
  "homedir",
  "systemMemoryInfo",
  "statfs",
  "setPriority",
  "osRelease",
  "cpus",
] as const;

/**
 * Locations of the NVIDIA driver's tool. Deno reports a program that it cannot find by name at every start,
 * but is silent about a missing path.
 */
const DRIVER_TOOLS = process.platform === "win32"
  ? ["C:\\Windows\\System32\\nvidia-smi.exe"]
  : ["/usr/bin/nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"];

/** The folder of this project. */
export const PROJECT: string = fileURLToPath(new URL("..", import.meta.url));

const ALL = true;
const LIBRARIES = { env: VARIABLES, sys: FACTS, ffi: ALL } as const;

/** Names of the sets. Each task of `deno.json` names one. */
export const PERMISSION_SETS = [
  "catalogue",
  "reader",
  "writer",
  "devices",
  "pictures",
  "stage",
  "tool",
] as const;

/** The name of a set of permissions. */
export type PermissionSet = typeof PERMISSION_SETS[number];

/**
 * Returns a set of permissions.
 *
 * @param name The name of the set.
 */
export function permissionSet(name: PermissionSet): Permissions {
  switch (name) {
    // Lists stages or schedulers, and reads only the code.
    case "catalogue":
      return { env: VARIABLES };
    // Reads files and caches, and their descriptions on the hub.
    case "reader":
      return { read: ALL, net: ALL, env: VARIABLES, sys: FACTS };
    // Maintains caches and a store, which can be in S3.
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
    // Bundles, checks or draws, and starts Deno for it.
    case "tool":
      return { read: ALL, write: ALL, net: ALL, env: VARIABLES, sys: FACTS, run: [process.execPath] };
  }
}

/**
 * Changes a set of permissions by Deno's flags.
 *
 * @param set The permissions.
 * @param flags Flags such as `--allow-run=ffmpeg`. A flag with values narrows a kind without a limit, and
 * widens one with a limit. A flag without values removes the limit. `-A` removes all limits.
 * @returns The changed set, and the flags that are not about permissions of these kinds.
 */
export function changedSet(
  set: Permissions,
  flags: readonly string[],
): { readonly set: Permissions; readonly others: readonly string[] } {
  const changed: Partial<Record<PermissionKind, true | readonly string[]>> = { ...set };
  const others: string[] = [];
  for (const flag of flags) {
    const [, name, values] = /^--allow-(\w+)(?:=(.*))?$/.exec(flag) ?? [];
    const kind = KINDS.find((kind) => kind === name);
    if (flag === "-A" || name === "all") { for (const kind of KINDS) changed[kind] = ALL; }
    else if (kind === undefined) others.push(flag);
    else if (values === undefined) changed[kind] = ALL;
    else changed[kind] = [...limitsOf(changed[kind]), ...values.split(",")];
  }
  return { set: changed, others };
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
  return ["--no-prompt", ...flags, ...(limitsOf(set.env).length === 0 ? [] : ["--ignore-env"])];
}

/** Options of {@linkcode heldFlags}. */
export interface HeldFlagsOptions {
  /** Files and folders that the program needs if this process itself may not access the whole disk. */
  readonly paths: readonly string[];
  /**
   * Whether the program needs the network.
   *
   * @default {true}
   */
  readonly network?: boolean;
}

/**
 * Returns Deno's flags for a program that this process starts: a set of permissions, changed by
 * `PIXSTAGE_PERMISSIONS`, as far as this process has them.
 *
 * @param name The name of the set.
 * @param options What the program needs.
 * @returns The flags.
 * @throws {PermissionError} if this process cannot load native libraries, without which no stage runs.
 */
export function heldFlags(name: PermissionSet, { paths, network = true }: HeldFlagsOptions): string[] {
  const wanted: Permissions = { ...permissionSet(name), ...(network ? {} : { net: [] }) };
  const further = (process.env["PIXSTAGE_PERMISSIONS"] ?? "").split(/\s+/).filter((flag) => flag !== "");
  const { set } = changedSet(wanted, further);
  const held: Permissions = {
    read: heldPaths("read", set.read, paths),
    write: heldPaths("write", set.write, paths),
    net: heldOf(set.net, (host) => ({ name: "net", host })),
    // A process with all variables passes all of them on.
    env: heldOf(holds({ name: "env" }) ? ALL : set.env, (variable) => ({ name: "env", variable })),
    sys: heldOf(set.sys, sysDescriptor),
    run: heldOf(set.run, (command) => ({ name: "run", command })),
    ffi: heldPaths("ffi", set.ffi, paths),
  };
  if (held.ffi !== ALL && limitsOf(held.ffi).length === 0) throw new PermissionError("ffi");
  return permissionFlags(held);
}

/**
 * Returns whether this process has the permissions of one kind that making pictures in the default folders
 * needs.
 */
export function holdsNeeded(kind: PermissionKind): boolean {
  const wanted = permissionSet("pictures")[kind];
  switch (kind) {
    case "read":
    case "write":
      return limitsOf(heldPaths(kind, wanted, kind === "write" ? [defaultStoreFolder()] : [PROJECT])).length >
        0;
    case "net":
    case "ffi":
      return false;
    case "run":
      return holds({ name: "run", command: process.execPath });
    default:
      return limitsOf(wanted).every((limit) =>
        holds(kind === "env" ? { name: "env", variable: limit } : sysDescriptor(limit))
      );
  }
}

/** Variables of the dynamic loader. */
const LOADER_VARIABLE = /^(LD|DYLD)_/;

/**
 * Returns the environment for programs that this process starts under Deno. Deno refuses to pass variables of
 * the dynamic loader, such as `LD_LIBRARY_PATH`, unless this process may run any program.
 */
export function permittedEnvironment(): Record<string, string> {
  const passesAll = holds({ name: "run" });
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => passesAll || !LOADER_VARIABLE.test(name)),
  );
}

/** Returns the limits that are both requested and granted to this process; no limit if neither has one. */
function heldOf(
  wanted: Limits | undefined,
  descriptor: (limit: string) => Deno.PermissionDescriptor,
): Limits {
  if (wanted !== ALL) return limitsOf(wanted).filter((limit) => holds(descriptor(limit)));
  const { name } = descriptor("");
  return holds({ name }) ? ALL : [];
}

/**
 * Returns the requested paths that this process may access. If the whole disk is requested but not granted,
 * returns the widest accessible folders around the given paths.
 */
function heldPaths(
  name: "read" | "write" | "ffi",
  wanted: Limits | undefined,
  paths: readonly string[],
): Limits {
  if (wanted !== ALL || holds({ name })) return heldOf(wanted, (path) => ({ name, path }));
  const isHeld = (path: string): boolean => holds({ name, path });
  const widest = (path: string): string => {
    const folder = dirname(path);
    return folder !== path && isHeld(folder) ? widest(folder) : path;
  };
  return [...new Set(paths.map((path) => resolve(path)).filter(isHeld).map(widest))];
}

function limitsOf(limits: Limits | undefined): readonly string[] {
  return limits === ALL || limits === undefined ? [] : limits;
}

function sysDescriptor(kind: string): Deno.PermissionDescriptor {
  return { name: "sys", kind } as Deno.SysPermissionDescriptor;
}

function holds(descriptor: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(descriptor).state === "granted";
}

/** Replaces a path that a shell would split by the program's name. */
function oneWord(limit: string): string {
  return limit.includes(" ") ? basename(limit) : limit;
}
