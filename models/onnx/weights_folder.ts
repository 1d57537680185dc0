// This module is browser compatible.

/**
 * The folder that a graph's weights are named from. ONNX Runtime reads external weights below one folder alone, by paths
 * that do not lead out of it; weights of several folders are named from the nearest folder that holds them all.
 *
 * @module
 */

import { PixstageError } from "../../errors/pixstage_error.ts";

/** Two weights of one graph lie on two drives or servers, and a session reads from one alone. */
export class WeightsFolderError extends PixstageError<"split_weights"> {
  override name = "WeightsFolderError";

  /** @param message Which graph, and which folders. */
  constructor(message: string) {
    super("split_weights", message);
  }
}

/** The folder of a graph's weights. */
export interface WeightsFolder {
  /** Its path or address. */
  readonly folder: string;
  /** Names a file of one of the folders from there. */
  pathOf(file: { readonly folder: string; readonly file: string }): string;
}

/**
 * Finds the nearest folder that holds all of several folders: the folder itself where there is one.
 *
 * @param folders Absolute paths, or addresses.
 * @returns The folder.
 * @throws {WeightsFolderError} if they lie on several drives or servers.
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
  // An address is its scheme, nothing, and its host before there are folders.
  const isAddress = /^[a-z][a-z0-9+.-]+:\/\//i.test(first);
  if (common < (isAddress ? 3 : 1)) {
    throw new WeightsFolderError(
      `Cannot name the weights of a graph from one folder as they must lie on one drive or server: ` +
        `current folders are ${[first, ...others].join(", ")}`,
    );
  }
  return {
    folder: root.slice(0, common).join(separator) + (isAddress || common === 1 ? separator : ""),
    pathOf: ({ folder, file }) => [...partsOf(folder).slice(common), file].join("/"),
  };
}
