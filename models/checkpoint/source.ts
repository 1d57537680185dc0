// This module is browser compatible.

/**
 * The source of a checkpoint's files: a folder on disk or elsewhere. Paths are relative to it and separated
 * by `/`.
 *
 * @module
 */

/** The real location of a file, with links resolved. */
export interface FileLocation {
  /** Absolute path of the folder that contains the file, or the URL of a remote folder. */
  readonly folder: string;
  /** The file's own name in that folder. */
  readonly file: string;
  /** Whether the file is on an HTTP server. Each weight is then fetched as a separate file. */
  readonly isRemote?: boolean;
}

/** A folder of files. */
export interface CheckpointSource {
  /** Name for errors, reports and metadata: the folder's name, or the model's name on the hub. */
  readonly name: string;
  /**
   * Lists the names of the files directly in a folder, sorted. Returns none if the folder does not exist.
   *
   * @param folder The folder; `""` for the root.
   */
  list(folder: string): Promise<readonly string[]>;
  /** Returns whether a file or folder exists at `path`. */
  exists(path: string): Promise<boolean>;
  /** Returns the size of a file in bytes. */
  size(path: string): Promise<number>;
  /** Reads a file as UTF-8. */
  readText(path: string): Promise<string>;
  /**
   * Reads a file or part of it.
   *
   * @param path The file.
   * @param start First byte. The default is 0.
   * @param end One past the last byte. The default is the end of the file.
   * @returns Exactly the requested bytes.
   * @throws {CheckpointError} if the file ends before `end`.
   */
  readBytes(path: string, start?: number, end?: number): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Locates a file. Absent if weights cannot be used from this source.
   */
  locate?(path: string): Promise<FileLocation>;
}

/** Joins a folder and a file name. An empty folder adds nothing. */
export function joinPath(folder: string, file: string): string {
  return folder === "" ? file : `${folder}/${file}`;
}
