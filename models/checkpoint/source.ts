// This module is browser compatible.

/**
 * Where a checkpoint lies: a folder of files, on disk or elsewhere. Paths are relative to it, with `/` between the
 * parts.
 *
 * @module
 */

/** Where a file really lies. */
export interface FileLocation {
  /** Absolute path of the folder that holds the file, links resolved; the address of a remote one. */
  readonly folder: string;
  /** The file's own name in that folder. */
  readonly file: string;
  /** Whether it lies behind HTTP: each weight is then fetched as a file of its own. */
  readonly isRemote?: boolean;
}

/** A folder of files. */
export interface CheckpointSource {
  /** What it is called in errors, reports and metadata: the folder's name, or a model's name on the hub. */
  readonly name: string;
  /**
   * Names of the files directly in a folder, sorted; none where there is no such folder.
   *
   * @param folder The folder; `""` for the checkpoint's own.
   */
  list(folder: string): Promise<readonly string[]>;
  /** Whether there is a file or folder at `path`. */
  exists(path: string): Promise<boolean>;
  /** The size of a file in bytes. */
  size(path: string): Promise<number>;
  /** Reads a file as UTF-8. */
  readText(path: string): Promise<string>;
  /**
   * Reads a file or a part of it.
   *
   * @param path The file.
   * @param start First byte. Default is 0.
   * @param end One past the last byte. Default is the end of the file.
   * @returns Exactly the bytes asked for.
   * @throws {CheckpointError} if the file ends before.
   */
  readBytes(path: string, start?: number, end?: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Where a file really lies. A source whose weights cannot be used has no such method. */
  locate?(path: string): Promise<FileLocation>;
}

/** Puts a folder and a file name together; an empty folder adds nothing. */
export function joinPath(folder: string, file: string): string {
  return folder === "" ? file : `${folder}/${file}`;
}
