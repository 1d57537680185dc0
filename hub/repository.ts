/**
 * What a model's repository on the hub holds at one commit.
 *
 * @module
 */

import { listFiles, modelInfo } from "@huggingface/hub";
import { z } from "zod";
import { COMMIT } from "./commit.ts";
import { HubError } from "./hub_error.ts";
import { hubFetch, type HubRequestContext } from "./hub_fetch.ts";
import type { HubSettings } from "./hub_settings.ts";
import { type RetryOptions, withRetries } from "./retry.ts";

/** A file of a repository. */
export interface RepositoryFile {
  /** Its path in the repository. */
  readonly path: string;
  /** Its size in bytes. */
  readonly size: number;
  /** SHA-256 of its bytes where it is kept by LFS, else the SHA-1 of its git blob; also its name in the cache. */
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
 * Asks the hub what a repository holds.
 *
 * @param settings Where the hub is.
 * @param context Which model and revision.
 * @param retry How often to try again.
 * @returns The commit that the revision stands for, and its files.
 * @throws {HubError} if there is no such model or revision, or the hub cannot be reached.
 */
export async function readRepository(
  settings: HubSettings,
  context: HubRequestContext,
  retry: RetryOptions,
): Promise<Repository> {
  const { model, revision } = context;
  const request = { hubUrl: settings.endpoint, fetch: hubFetch(settings, context) };
  const ask = <T>(question: () => Promise<T>) =>
    withRetries(() => question().catch((error) => notUnderstood(error, settings, context)), retry);
  const { sha: commit } = await ask(async () =>
    Info.parse(await modelInfo({ ...request, name: model, revision, additionalFields: ["sha"] }))
  );
  const files = await ask(async () => {
    const found = new Map<string, RepositoryFile>();
    const repo = { type: "model", name: model } as const;
    for await (const item of listFiles({ ...request, repo, revision: commit, recursive: true })) {
      if (item.type !== "file") continue;
      const { path, size, oid, lfs } = Entry.parse(item);
      found.set(path, { path, size: lfs?.size ?? size, hash: lfs?.oid ?? oid });
    }
    return found;
  });
  return { commit, files };
}

/** Throws what a question failed with; an answer that is none of a hub's is one of something in between. */
function notUnderstood(
  error: unknown,
  { endpoint }: HubSettings,
  { model, signal }: HubRequestContext,
): never {
  signal?.throwIfAborted();
  if (error instanceof HubError) throw error;
  const reason = error instanceof z.ZodError
    ? z.prettifyError(error)
    : error instanceof Error
    ? error.message
    : error;
  throw new HubError(
    "unreachable",
    `Cannot download ${model}: ${endpoint} does not answer as a hub: ${reason}`,
    {
      advice: "Check HF_ENDPOINT, and whether the network wants a login first",
      cause: error,
    },
  );
}
