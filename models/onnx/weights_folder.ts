// This module is browser compatible.

/**
 * The base folder of a graph's weights. ONNX Runtime reads external weights only from below one folder, by
 * paths that do not leave it. For weights in several folders, the base is their nearest common ancestor.
 *
 * @module
 */

import { PixstageError } from "../../errors/pixstage_error.ts";

/** Thrown if the weights of a graph are on different drives or servers. A session reads from only one. */
export class WeightsFolderError extends PixstageError<"split_weights"> {
  override name = "WeightsFolderError";

  /** @param message The graph and the folders. */
  constructor(message: string) {
    super("split_weights", message);
  }
}

/** The base folder of a graph's weights. */
export interface WeightsFolder {
  /** Path or URL of the folder. */
  readonly folder: string;
  /** Returns the path of a file in one of the folders, relative to the base. */
  pathOf(file: { readonly folder: string; readonly file: string }): string;
}

/**
 * Finds the nearest common ancestor of several folders; a single folder is its own.
 *
 * @param folders Absolute paths or URLs.
 * @returns The base folder.
 * @throws {WeightsFolderError} if the folders are on different drives or servers.
 *
 * @example Usage
 * ```ts
 * import { weightsFolder } from "./weights_folder.ts";
 * import assert from "node:assert/strict";
 *
 * const { folder, pathOf } = weightsFolder(["/models/a", "/models/loras"]);
 * assert.equal(folder, "/models");
 * assert.equal(pathOf({ folder: "/models/a", file: "w.safetensors" }), "a/w.safetensors");
 * ```
 */
export function weightsFolder(folders: readonly string[]): WeightsFolder {
  const [first = "", ...others] = new Set(folders);
  if (others.length === 0) return { folder: first, pathOf: ({ file }) => file };
  const separator = /^[a-z]:\\|^\\\\/i.test(first) ? "\\" : "/";
  const partsOf = (folder: string): string[] => {
    const parts = folder.split(separator);
    while (parts.length > 1 && parts.at(-1) === "") parts.pop();
    return parts;
  };
  const root = partsOf(first);
  let common = root.length;
  for (const other of others.map(partsOf)) {
    const differs = root.findIndex((part, index) => part !== other[index]);
    common = Math.min(common, differs === -1 ? root.length : differs);
  }
  // The first three parts of a URL are its scheme, an empty part, and its host. Folders follow.
  const isAddress = /^[a-z][a-z0-9+.-]+:\/\//i.test(first);
  if (common < (isAddress ? 3 : 1)) {
    throw new WeightsFolderError(
      `Cannot open a graph because all of its weights must be on one drive or server: ` +
        `they are in ${[first, ...others].join(", ")}`,
    );
  }
  return {
    folder: root.slice(0, common).join(separator) + (isAddress || common === 1 ? separator : ""),
    pathOf: ({ folder, file }) => [...partsOf(folder).slice(common), file].join("/"),
  };
}
