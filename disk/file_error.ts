// This module is browser compatible.

/**
 * The error for a file that cannot be read or written, in plain words.
 *
 * @module
 */

import type { CodeOf } from "../errors/error_codes.ts";
import { codeOfSystemError, systemCode } from "../errors/foreign_error.ts";
import { permissionError } from "../errors/permission_error.ts";
import { PixstageError } from "../errors/pixstage_error.ts";

/** Meaning of the system's error codes, and what to do about each. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder: check the path",
  ENOTDIR: "a part of the path is a file, not a folder: check the path",
  EEXIST: "there is a file where a folder is needed: check the path",
  EISDIR: "it is a folder, not a file: name a file in it",
  ENOTREG: "it is a pipe, a device or a socket, not a file: name a regular file",
  EACCES: "permission is missing: check the owner and the mode of the file and its folder",
  EPERM: "permission is missing: check the owner and the mode of the file and its folder",
  EROFS: "the file system is read-only: choose another folder",
  ENOSPC: "the disk is full: free some space or choose another folder",
  EDQUOT: "the disk quota is used up: free some space or choose another folder",
  EMFILE: "too many files are open: close some or raise the limit of open files",
  ELOOP: "its links form a cycle: check where they lead",
  EPIPE: "its reader has ended: let it read to the end",
  ENAMETOOLONG: "its name is too long: choose a shorter one",
};

/** A file could not be read or written. The message says which file, why, and what to do. */
export class FileError extends PixstageError<CodeOf<"environment">> {
  override name = "FileError";
  /** The file, as the caller named it. */
  readonly path: string;
  /** The system's error code, e.g. `ENOENT` or `ENOSPC`, or an empty string if there is none. */
  readonly systemCode: string;

  /**
   * @param action The attempted action: `read` or `write`.
   * @param path The file, as the caller named it.
   * @param systemCode The system's error code.
   * @param options The underlying error, and advice that ends the message.
   */
  constructor(
    action: "read" | "write",
    path: string,
    systemCode: string,
    { advice, cause }: ErrorOptions & { readonly advice?: string } = {},
  ) {
    const refusal = permissionError(cause);
    const reason = refusal
      ? refusal.message
      : REASONS[systemCode] ?? `the system refused (${systemCode || cause})`;
    const ending = advice === undefined ? "" : `. ${advice}`;
    super(
      refusal?.code ?? codeOfSystemError(systemCode),
      `Cannot ${action} ${JSON.stringify(path)} because ${reason}${ending}`,
      {
        cause,
        details: { path, systemCode },
      },
    );
    this.path = path;
    this.systemCode = systemCode;
  }

  /** Whether the disk or the user's quota on it is full. */
  get isFull(): boolean {
    return this.code === "disk_full";
  }
}

/**
 * Waits for an operation of the file system.
 *
 * @param action What the operation does.
 * @param path The file, as the caller named it.
 * @param operation The pending operation.
 * @returns The operation's result.
 * @throws {FileError} if the operating system refuses.
 */
export async function onDisk<T>(action: "read" | "write", path: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (cause) {
    throw new FileError(action, path, systemCode(cause), { cause });
  }
}
