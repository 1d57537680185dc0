/**
 * A model of the hub: its small files are fetched when it is opened, the weights of a component when they are first
 * needed.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FileError, onDisk } from "../artifacts/file_error.ts";
import { someNames } from "../artifacts/some_names.ts";
import { CheckpointError } from "../models/checkpoint/checkpoint_errors.ts";
import type { FindWeights } from "../models/checkpoint/component.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import { openHttpSource } from "../models/checkpoint/http_source.ts";
import { parseModelIndex } from "../models/checkpoint/model_index.ts";
import type { CheckpointSource } from "../models/checkpoint/source.ts";
import type { WeightFiles } from "../models/checkpoint/weight_files.ts";
import { type CacheLayout, cacheLayout, linkBlob, readRef, writeRef } from "./cache_layout.ts";
import { heldWeights, holdsSmallFiles, wholeWeights } from "./cached_model.ts";
import { COMMIT } from "./commit.ts";
import { hasBlob } from "./download_blob.ts";
import { downloadFiles, type DownloadOptions } from "./download_files.ts";
import { HubError, type HubErrorCode } from "./hub_error.ts";
import { hubFetch, type HubRequestContext } from "./hub_fetch.ts";
import { type HubOptions, type HubSettings, hubSettings } from "./hub_settings.ts";
import { componentVariants, componentWeights, MAIN_FILES, mainFile, smallFiles } from "./needed_files.ts";
import { readRepository, type Repository, type RepositoryFile } from "./repository.ts";
import { repositorySource } from "./repository_source.ts";

/** How a model of the hub is opened. */
export interface HubModelOptions extends HubOptions, DownloadOptions {
  /**
   * The branch, tag or commit.
   *
   * @default {"main"}
   */
  readonly revision?: string;
  /**
   * Whether files are fetched into the cache. Where they are not, they are read over the network, weights by the byte:
   * for whoever looks at their headers alone. Where the hub must not or cannot be asked, the cache is read.
   *
   * @default {true}
   */
  readonly fetches?: boolean;
  /**
   * Is given a sentence about what a user should know: that something failed and is tried again, or that the cache is used
   * as the hub refuses, and why.
   */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** A model of the hub with the weights of one variant, as checkpoints are opened. */
export interface HubFiles {
  /** What is in the cache: at least the small files. */
  readonly source: CheckpointSource;
  /** Fetches the weights of a component, unless they are in the cache. */
  readonly findWeights: FindWeights;
}

/** What is known of a model once it is opened. */
interface Found {
  readonly commit: string;
  /** What the hub holds; unknown where the cache was enough so far, or must be. */
  readonly repository?: Repository;
  /** Why the hub does not say what it holds. */
  readonly fault?: HubError;
  /** The commit that the revision stood for when it was last fetched, if that was another one. */
  readonly former?: string | undefined;
}

/** How often a question is asked: it takes the hub a moment, and whoever runs a command waits for it. */
const QUESTION_TRIES = 3;

const REVISION = /^(?!.*(^|\/)\.{1,2}(\/|$))[^/\\\s:][^\\\s:]*$/;

/** A model of the hub, at one commit. */
export class HubModel {
  readonly #settings: HubSettings;
  readonly #options: HubModelOptions;
  readonly #layout: CacheLayout;
  readonly #context: HubRequestContext;
  #found: Found;
  #hasWarned = false;

  private constructor(
    context: HubRequestContext,
    settings: HubSettings,
    options: HubModelOptions,
    found: Found,
  ) {
    const { signal: _signal, ...lasting } = options;
    this.#context = context;
    this.#settings = settings;
    this.#options = lasting;
    this.#layout = cacheLayout(settings.cacheDir, context.model);
    this.#found = found;
  }

  /** The snapshot's folder in the cache. */
  get folder(): string {
    return this.#layout.snapshot(this.#found.commit);
  }

  /**
   * Finds the commit that a revision stands for, and what the hub holds at it. The hub is asked once, and not at all for
   * a commit whose small files are in the cache: a commit never changes.
   *
   * @param model The model: `PixArt-alpha/PixArt-Sigma-XL-2-512-MS`.
   * @param options Which revision, where the cache is, who is told of downloads. The signal stops this call alone.
   * @returns The model.
   * @throws {HubError} if it cannot be had; `code` says why.
   */
  static async open(model: string, options: HubModelOptions = {}): Promise<HubModel> {
    const { revision = "main", signal, tries } = options;
    if (!REVISION.test(revision)) {
      throw new RangeError(
        `Cannot download ${model} as revision must be a branch, tag or commit: current value is ${revision}`,
      );
    }
    const settings = await hubSettings(options);
    const layout = cacheLayout(settings.cacheDir, model);
    const context = { model, revision, stallTimeout: settings.answerTimeout };
    const known = await readRef(layout, revision);
    const opened = (found: Found) => new HubModel(context, settings, options, found);
    if (settings.localFilesOnly) {
      if (known !== undefined) return opened({ commit: known });
      throw offline(model, settings, `revision ${revision} was never fetched`);
    }
    if (COMMIT.test(revision) && await holdsSmallFiles(layout.snapshot(revision))) {
      return opened({ commit: revision });
    }
    try {
      // Where the cache can stand in, nobody waits for a second try.
      const most = known === undefined ? QUESTION_TRIES : 1;
      const { commit, files } = await readRepository(settings, { ...context, signal }, {
        ...options,
        tries: Math.min(tries ?? most, most),
      });
      const former = known === commit ? undefined : known;
      return opened({ commit, repository: { commit, files }, former });
    } catch (fault) {
      if (!isRefusal(fault) || known === undefined) throw fault;
      return opened({ commit: known, fault });
    }
  }

  /**
   * Fetches the small files: configurations, the tokenizer, the indices of sharded weights.
   *
   * @param variant The variant of the weights; `""` for the plain ones.
   * @param signal Stops this call, and the fetching of weights that follows from it.
   * @returns The files, of which weights are fetched when they are asked for.
   * @throws {HubError} if they cannot be had; `code` says why.
   * @throws {UnsupportedArchitectureError} if it is not of PixArt.
   * @throws {MissingVariantError} if no component has the variant.
   */
  async files(variant: string, signal?: AbortSignal): Promise<HubFiles> {
    let { repository } = this.#found;
    const isRemote = this.#options.fetches === false;
    if (isRemote && !this.#found.fault) repository ??= await this.#list(signal);
    const missing = repository ? undefined : await this.#missingFromCache(variant);
    if (missing !== undefined) {
      repository = await this.#list(signal);
      if (!repository) throw this.#lacks(missing);
    }
    if (repository && isRemote) return this.#overNetwork(repository, variant, signal);
    if (repository) {
      const { former } = this.#found;
      try {
        await this.#fetchSmall(repository, variant, signal);
        this.#found = { ...this.#found, former: undefined };
      } catch (fault) {
        if (former === undefined || !isRefusal(fault)) throw fault;
        this.#found = { commit: former, fault };
        return await this.files(variant, signal);
      }
    }
    this.#warnOfCache();
    const source = await this.#openFolder();
    return { source, findWeights: (folder) => this.#weights(source, folder, variant, signal) };
  }

  /** The snapshot, by the model's name. */
  #openFolder(): Promise<CheckpointSource> {
    return openDiskSource(this.folder, { name: this.#context.model });
  }

  /** All files where they lie on the hub. */
  #overNetwork({ commit, files }: Repository, variant: string, signal: AbortSignal | undefined): HubFiles {
    const { model } = this.#context;
    const source = openHttpSource(`${this.#settings.endpoint}/${model}/resolve/${commit}/`, {
      name: model,
      files: Object.fromEntries([...files].map(([path, { size }]) => [path, size])),
      fetch: hubFetch(this.#settings, { ...this.#context, signal }),
    });
    return { source, findWeights: (folder) => componentWeights(source, folder, variant) };
  }

  /** Says what the cache lacks so that the model could be opened. */
  async #missingFromCache(variant: string): Promise<string | undefined> {
    try {
      const source = await this.#openFolder();
      const main = await Promise.all(MAIN_FILES.map((path) => source.exists(path)));
      if (!main.includes(true)) return "model_index.json is missing";
      await componentVariants(source, variant);
      return undefined;
    } catch (error) {
      if (error instanceof CheckpointError) return error.message;
      throw error;
    }
  }

  async #fetchSmall(repository: Repository, variant: string, signal: AbortSignal | undefined): Promise<void> {
    const { model } = this.#context;
    const has = (path: string): boolean => repository.files.has(path);
    const main = mainFile(has);
    if (main === undefined) {
      throw new HubError(
        "unsupported",
        `Cannot use ${model}: it must be in diffusers' folder layout, with model_index.json, or config.json of a ` +
          `component, but holds ${someNames(repository.files.keys())}`,
      );
    }
    const files = await this.#missing(repository, smallFiles(has, variant));
    await this.#download(files, signal);
    // A snapshot is of a model that can be used, so that its main file is linked last.
    const source = this.#listed(repository);
    if (main === "model_index.json") parseModelIndex(await source.readText(main), `${model}/${main}`);
    await componentVariants(source, variant);
    await this.#link(files);
  }

  /** The weights of a component, all of its files in the cache. */
  async #weights(
    source: CheckpointSource,
    folder: string,
    variant: string,
    signal: AbortSignal | undefined,
  ): Promise<WeightFiles> {
    let { repository } = this.#found;
    if (repository === undefined) {
      // What has the variant takes it, whatever the other components have.
      const here = await wholeWeights(source, folder, variant);
      if (here) return here;
      repository = await this.#list(signal);
      if (repository === undefined) return await this.#cachedWeights(source, folder, variant);
      await this.#fetchSmall(repository, variant, signal);
    }
    const weights = await componentWeights(this.#listed(repository), folder, variant);
    const files = await this.#missing(repository, weights.paths);
    await this.#download(files, signal);
    await this.#link(files);
    return weights;
  }

  /** The weights of a component as the cache has them. */
  async #cachedWeights(source: CheckpointSource, folder: string, variant: string): Promise<WeightFiles> {
    let weights: WeightFiles;
    try {
      weights = await componentWeights(source, folder, variant);
    } catch (error) {
      if (error instanceof CheckpointError || error instanceof SyntaxError) throw this.#lacks(error.message);
      throw error;
    }
    for (const path of weights.paths) {
      if (!await source.exists(path)) throw this.#lacks(`${path} is missing`);
    }
    return weights;
  }

  /** Says once that the cache is used in the place of the hub, and why. */
  #warnOfCache(): void {
    const { commit, fault } = this.#found;
    if (!fault || this.#hasWarned) return;
    this.#hasWarned = true;
    const { model, revision } = this.#context;
    const what = revision === commit ? commit : `${revision} as of commit ${commit.slice(0, 7)}`;
    this.#options.onWarning?.(`The cached copy of ${model} is used (${what}). ${fault.message}`);
  }

  /** Asks the hub what it holds; `undefined` if it must not be asked, cannot be reached, or refuses. */
  async #list(signal: AbortSignal | undefined): Promise<Repository | undefined> {
    const { commit, fault } = this.#found;
    // A hub that was out of reach may be back; one that refused will again.
    const isFinal = fault !== undefined && fault.code !== "unreachable";
    if (this.#settings.localFilesOnly || isFinal) return undefined;
    const { tries = QUESTION_TRIES } = this.#options;
    try {
      const repository = await readRepository(
        this.#settings,
        { ...this.#context, revision: commit, signal },
        { ...this.#options, tries: Math.min(tries, QUESTION_TRIES), signal },
      );
      this.#found = { commit, repository };
      return repository;
    } catch (fault) {
      if (!isRefusal(fault)) throw fault;
      this.#found = { commit, fault };
      return undefined;
    }
  }

  /** The model as the hub lists it; what was downloaded can be read. */
  #listed(repository: Repository): CheckpointSource {
    return repositorySource(this.#context.model, repository, async ({ path, hash }) => {
      const blob = await readFile(this.#layout.blob(hash)).catch(() => undefined);
      // Snapshots hold files in the place of links on file systems without links, and in copies of a cache.
      const file = join(this.folder, path);
      return blob ?? await onDisk("read", file, readFile(file));
    });
  }

  /** Those of the files that the snapshot lacks. */
  async #missing(repository: Repository, paths: readonly string[]): Promise<readonly RepositoryFile[]> {
    const files = paths.map((path) => repository.files.get(path)).filter((file) => file !== undefined);
    const here = await Promise.all(files.map(({ path, size }) => hasBlob(join(this.folder, path), size)));
    return files.filter((_file, i) => !here[i]);
  }

  async #download(files: readonly RepositoryFile[], signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (files.length === 0) return;
    const place = {
      settings: this.#settings,
      layout: this.#layout,
      commit: this.#found.commit,
      context: this.#context,
    };
    try {
      await downloadFiles(place, files, { ...this.#options, signal });
    } catch (cause) {
      if (!isReadOnly(cause)) throw cause;
      const { cacheDir } = this.#settings;
      throw new HubError(
        "read_only",
        `Cannot download ${this.#context.model}: the cache ${cacheDir} cannot be written (${cause.code})`,
        { advice: "Set HF_HUB_CACHE to a folder that can be written", cause },
      );
    }
  }

  /** Puts files into the snapshot, and lets the revision move on to it. */
  async #link(files: readonly RepositoryFile[]): Promise<void> {
    for (const { path, hash } of files) await linkBlob(this.#layout.blob(hash), join(this.folder, path));
    const { revision } = this.#context;
    const { commit } = this.#found;
    const former = await readRef(this.#layout, revision);
    // Offline the revision stands for the commit that it was last seen at, which must not hold less than one before.
    if (former === commit || (former !== undefined && !await this.#holdsAllOf(former))) return;
    try {
      await writeRef(this.#layout, revision, commit);
    } catch (error) {
      // What a read-only cache holds can be used all the same.
      if (!isReadOnly(error)) throw error;
    }
  }

  /** Whether this snapshot holds the weights that another one holds. */
  async #holdsAllOf(commit: string): Promise<boolean> {
    const [held, here] = await Promise.all(
      [this.#layout.snapshot(commit), this.folder].map((folder) => heldWeights(folder)),
    );
    return [...held ?? []].every(([folder, variants]) =>
      variants.every((variant) => here?.get(folder)?.includes(variant))
    );
  }

  /** The error for what is neither in the cache nor to be had. */
  #lacks(missing: string): HubError {
    const { model } = this.#context;
    const { fault } = this.#found;
    if (!fault) return offline(model, this.#settings, missing);
    const { cacheDir } = this.#settings;
    const { code, problem, advice } = fault;
    return new HubError(code, `${problem}. The cache ${cacheDir} does not hold all of it: ${missing}`, {
      advice,
      cause: fault,
    });
  }
}

function offline(model: string, { cacheDir }: HubSettings, missing: string): HubError {
  return new HubError(
    "offline",
    `Cannot use ${model} offline: the cache ${cacheDir} does not hold all of it: ${missing}`,
    { advice: "Unset HF_HUB_OFFLINE and localFilesOnly to download it" },
  );
}

/** The codes of failures that say nothing against what the cache holds. */
const REFUSALS: readonly HubErrorCode[] = [
  "unauthorized",
  "model_not_found",
  "revision_not_found",
  "file_not_found",
  "unreachable",
  "disk_full",
  "read_only",
];

/** Whether a file could not be written as its folder is read-only. */
function isReadOnly(error: unknown): error is FileError {
  return error instanceof FileError && ["EROFS", "EACCES", "EPERM"].includes(error.code);
}

/** Whether a model cannot be had from the hub, so that the cache may stand in. */
function isRefusal(error: unknown): error is HubError {
  return error instanceof HubError && REFUSALS.includes(error.code);
}
