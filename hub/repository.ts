/**
 * The repository of a model on the hub, at one commit.
 *
 * @module
 */

import { listFiles, modelInfo } from "@huggingface/hub";
import { z } from "zod";
import { PermissionError } from "../errors/permission_error.ts";
import { parseValue } from "../errors/parse_value.ts";
import type { CheckpointSource } from "../models/checkpoint/source.ts";
import { HubError } from "./hub_error.ts";
import { hubFetch, type HubRequestContext, type RetryOptions, withRetries } from "./hub_fetch.ts";
import type { HubSettings } from "./hub_settings.ts";

/** The form of a commit: a SHA-1. */
export const COMMIT = /^[0-9a-f]{40}$/;

/** A file of a repository. */
export interface RepositoryFile {
  /** Path of the file in the repository. */
  readonly path: string;
  /** Size of the file in bytes. */
  readonly size: number;
  /**
   * SHA-256 of its bytes if LFS stores it, or else the SHA-1 of its git blob. It is also the file's name in
   * the cache.
   */
  readonly hash: string;
}

/** A repository at one commit. */
export interface Repository {
  /** The commit. */
  readonly commit: string;
  /** The files, by path. */
  readonly files: ReadonlyMap<string, RepositoryFile>;
}

const Info = z.looseObject({ sha: z.string().regex(COMMIT) });
const Entry = z.looseObject({
  type: z.string(),
  path: z.string(),
  size: z.int().nonnegative(),
  oid: z.string().regex(COMMIT),
  lfs: z.looseObject({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().nonnegative() }).optional(),
});

/**
 * Asks the hub for the commit of a revision and for its files.
 *
 * @param settings The hub.
 * @param context The model and the revision.
 * @param retry How often to retry.
 * @returns The commit and its files.
 * @throws {HubError} if there is no such model or revision, or the hub cannot be reached.
 */
export async function readRepository(
  settings: HubSettings,
  context: HubRequestContext,
  retry: RetryOptions,
): Promise<Repository> {
  const { model, revision } = context;
  const request = { hubUrl: settings.endpoint, fetch: hubFetch(settings, context) };
  const parse = <Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> =>
    parseValue(schema, value, ({ clause }, { cause }) => notAHub(clause, cause, settings, context));
  const ask = <T>(question: () => Promise<T>) =>
    withRetries(async () => {
      try {
        return await question();
      } catch (error) {
        if (context.signal?.aborted || error instanceof HubError) throw error;
        if (error instanceof PermissionError) throw error;
        throw notAHub(String(error), error, settings, context);
      }
    }, retry);
  const { sha: commit } = await ask(async () =>
    parse(Info, await modelInfo({ ...request, name: model, revision, additionalFields: ["sha"] }))
  );
  const files = await ask(async () => {
    const found = new Map<string, RepositoryFile>();
    const repo = { type: "model", name: model } as const;
    for await (const item of listFiles({ ...request, repo, revision: commit, recursive: true })) {
      if (item.type !== "file") continue;
      const { path, size, oid, lfs } = parse(Entry, item);
      found.set(path, { path, size: lfs?.size ?? size, hash: lfs?.oid ?? oid });
    }
    return found;
  });
  return { commit, files };
}

/**
 * Returns the error for an answer that no hub gives. It probably comes from a proxy or a login page.
 */
function notAHub(
  reason: string,
  cause: unknown,
  { endpoint }: HubSettings,
  { model }: HubRequestContext,
): HubError {
  return new HubError(
    "unreachable",
    `Cannot download ${model}: ${endpoint} does not answer like a hub: ${reason}`,
    { advice: "Check HF_ENDPOINT, and whether the network requires a login", cause },
  );
}

/**
 * Presents a repository as a checkpoint before its weights are downloaded.
 *
 * @param model Name for errors.
 * @param repository The repository.
 * @param readFile Reads a downloaded file.
 * @returns The source. Files that were not downloaded can be listed, but not read.
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
