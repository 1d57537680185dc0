/**
 * A repository seen as a checkpoint before its weights are there: the hub lists the files, the cache holds the small
 * ones.
 *
 * @module
 */

import type { CheckpointSource } from "../models/checkpoint/source.ts";
import { HubError } from "./hub_error.ts";
import type { Repository, RepositoryFile } from "./repository.ts";

/**
 * Makes a source of a repository.
 *
 * @param model What it is called in errors.
 * @param repository What it holds.
 * @param readFile Reads a file that was downloaded.
 * @returns The source. Files that were not downloaded can be listed, not read.
 */
export function repositorySource(
  model: string,
  repository: Repository,
  readFile: (file: RepositoryFile) => Promise<Uint8Array>,
): CheckpointSource {
  const paths = [...repository.files.keys()];
  const entry = (path: string) => {
    const file = repository.files.get(path);
    if (file === undefined) throw new HubError("file_not_found", `Cannot find ${path} in ${model}`);
    return file;
  };
  const read = async (path: string) => await readFile(entry(path));
  return {
    name: model,
    list: (folder) => {
      const prefix = folder === "" ? "" : `${folder}/`;
      const names = paths.filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length));
      return Promise.resolve(names.filter((name) => !name.includes("/")).sort());
    },
    exists: (path) => Promise.resolve(paths.some((known) => known === path || known.startsWith(`${path}/`))),
    size: (path) => Promise.resolve(entry(path).size),
    readText: async (path) => new TextDecoder().decode(await read(path)),
    readBytes: async (path, start, end) => new Uint8Array((await read(path)).subarray(start, end)),
  };
}
