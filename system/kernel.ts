/**
 * The kernel's files and signals. Deno's own functions open files under `/proc` only with `--allow-all`, and
 * send signals only with `--allow-run` for all programs. Where Deno refuses, the C library does the same, for
 * which `--allow-ffi` is enough.
 *
 * @module
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

/** `O_RDONLY` and `O_WRONLY` of `fcntl.h`, and `F_OK` of `unistd.h`. */
const READ_ONLY = 0;
const WRITE_ONLY = 1;
const EXISTS = 0;
const SIGKILL = 9;

const CHUNK_BYTES = 1 << 14;

const SYMBOLS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  access: { parameters: ["buffer", "i32"], result: "i32" },
  // Only Linux has it.
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "isize", optional: true },
  kill: { parameters: ["i32", "i32"], result: "i32" },
} as const;

let opened: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | undefined;

/**
 * Reads a file of the kernel, such as `/proc/self/status`.
 *
 * @param path Its path.
 * @returns Its text.
 * @throws {Error} if there is no such file, or if neither Deno nor the C library may open it.
 */
export function readKernelFile(path: string): string {
  return unlessRefused(() => readFileSync(path, "utf8"), ({ read }) =>
    withFile(path, READ_ONLY, (file) => {
      const decoder = new TextDecoder();
      const chunk = new Uint8Array(CHUNK_BYTES);
      let text = "";
      for (let count = 1; count > 0;) {
        count = Number(read(file, chunk, BigInt(chunk.length)));
        if (count > 0) text += decoder.decode(chunk.subarray(0, count), { stream: true });
      }
      return text;
    }));
}

/**
 * Lists a folder of the kernel, such as `/proc/self/task`.
 *
 * @param path Its path.
 * @returns The names in it.
 * @throws {Error} if there is no such folder, or if neither Deno nor the C library may open it.
 */
export function listKernelFolder(path: string): readonly string[] {
  return unlessRefused(() => readdirSync(path), ({ getdents64 }) =>
    withFile(path, READ_ONLY, (folder) => {
      const names: string[] = [];
      const chunk = new Uint8Array(CHUNK_BYTES);
      for (let size = 1; size > 0;) {
        size = Number(getdents64?.(folder, chunk, BigInt(chunk.length)) ?? 0);
        names.push(...entryNames(chunk.subarray(0, Math.max(0, size))));
      }
      return names.filter((name) => name !== "." && name !== "..");
    }));
}

/**
 * Reads the names of `struct linux_dirent64`: 16 bytes, the entry's length in 2 bytes, its type in 1 byte,
 * and its name, which ends with a zero. Source: getdents(2).
 */
function* entryNames(entries: Uint8Array): Generator<string> {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  for (let at = 0; at < entries.length; at += view.getUint16(at + 16, true)) {
    const name = entries.subarray(at + 19, entries.indexOf(0, at + 19));
    yield new TextDecoder().decode(name);
  }
}

/**
 * Writes to a file of the kernel, such as `/proc/self/clear_refs`.
 *
 * @param path Its path.
 * @param text What to write.
 * @throws {Error} if the kernel, or both Deno and the C library, refuse.
 */
export function writeKernelFile(path: string, text: string): void {
  unlessRefused(() => writeFileSync(path, text), ({ write }) =>
    withFile(path, WRITE_ONLY, (file) => {
      const bytes = new TextEncoder().encode(text);
      if (Number(write(file, bytes, BigInt(bytes.length))) < 0) {
        throw new Error(`The kernel refused to write ${path}`);
      }
    }));
}

/**
 * Returns whether a process of this machine runs. If that cannot be known, it counts as running.
 *
 * @param pid Id of the process.
 */
export function isAlive(pid: number): boolean {
  try {
    return unlessRefused(
      () => process.kill(pid, 0),
      ({ access, kill }) =>
        // `kill` also fails for the processes of other users.
        process.platform === "linux" ? access(cString(`/proc/${pid}`), EXISTS) === 0 : kill(pid, 0) === 0,
    );
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

/** Ends this process at once, whatever its threads do. */
export function killThisProcess(): void {
  unlessRefused(() => process.kill(process.pid, "SIGKILL"), ({ kill }) => kill(process.pid, SIGKILL) === 0);
}

/** Calls a function, and the C library if Deno refuses. */
function unlessRefused<T>(call: () => T, inC: (library: NonNullable<typeof opened>) => T): T {
  if (opened) return inC(opened);
  try {
    return call();
  } catch (error) {
    if (typeof Deno === "undefined" || !(error instanceof Deno.errors.NotCapable)) throw error;
    if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") throw error;
    const library = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";
    opened = Deno.dlopen(library, SYMBOLS).symbols;
    return inC(opened);
  }
}

function withFile<T>(path: string, mode: number, use: (file: number) => T): T {
  const { open, close } = opened!;
  const file = open(cString(path), mode);
  if (file < 0) throw new Error(`The kernel refused to open ${path}`);
  try {
    return use(file);
  } finally {
    close(file);
  }
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
