/**
 * A model on the hub. Its small files are fetched when it is opened, and the weights of a component when they
 * are first needed. If the hub refuses, its cached copy is used.
 *
 * @module
 */

import { FileError } from "../disk/file_error.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { CheckpointError } from "../models/checkpoint/checkpoint_errors.ts";
import { type FindWeights, loneComponent } from "../models/checkpoint/component.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import { COMPONENT_NAMES } from "../models/checkpoint/model_index.ts";
import { openHttpSource } from "../models/checkpoint/http_source.ts";
import type { CheckpointSource } from "../models/checkpoint/source.ts";
import type { WantedWeights, WeightFiles } from "../models/checkpoint/weight_files.ts";
import { AdapterError } from "../models/lora/adapter_error.ts";
import { adapterFiles } from "../models/lora/adapter_files.ts";
import {
  componentVariants,
  componentWeights,
  declaredParts,
  holdsMainFile,
  holdsSmallFiles,
  wholeWeights,
} from "./checkpoint_files.ts";
import type { DownloadOptions } from "./download.ts";
import { CachedCommit, type CachedModel, cacheLayout, readRef } from "./hub_cache.ts";
import { HubError, isRefusal } from "./hub_error.ts";
import { hubFetch } from "./hub_fetch.ts";
import { type HubOptions, type HubSettings, hubSettings } from "./hub_settings.ts";
import { COMMIT, readRepository, type Repository } from "./repository.ts";

/** Options for opening a model on the hub. */
export interface HubModelOptions extends HubOptions, DownloadOptions {
  /**
   * The branch, tag or commit.
   *
   * @default {"main"}
   */
  readonly revision?: string | undefined;
  /**
   * Whether files are fetched into the cache. If false, they are read over HTTP, weights by byte range. Use
   * it if only the headers of weights are needed. The cache is still read if the hub must not or cannot be
   * asked.
   *
   * @default {true}
   */
  readonly fetches?: boolean | undefined;
  /**
   * Called with a sentence about each failure that is retried, and about a hub that refuses while the cache
   * is used.
   */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * The files of a model on the hub, with the weights of one variant, in the form in which checkpoints are
 * opened.
 */
export interface HubFiles {
  /** The files. At least the small ones can be read. */
  readonly source: CheckpointSource;
  /** Fetches the weights of a component, unless they are in the cache. */
  readonly findWeights: FindWeights;
}

/** The commit of a model, and the state of the hub. */
interface Found {
  readonly commit: string;
  /** The commit on the hub. Unknown if the cache has been enough so far, or has to be. */
  readonly remote?: CachedCommit | undefined;
  /** The reason why the hub does not list the commit. */
  readonly fault?: HubError | undefined;
  /** The commit of the revision when it was last fetched, if it was a different one. */
  readonly former?: string | undefined;
}

/** Questions delay every run, so they are retried less often than downloads. */
const QUESTION_TRIES = 3;

const REVISION = /^(?!.*(^|\/)\.{1,2}(\/|$))[^/\\\s:][^\\\s:]*$/;

/** A model on the hub, at one commit. */
export class HubModel {
  readonly #model: CachedModel;
  readonly #fetches: boolean;
  #found: Found;
  #hasWarned = false;

  private constructor(model: CachedModel, fetches: boolean, found: Found) {
    this.#model = model;
    this.#fetches = fetches;
    this.#found = found;
  }

  /** The snapshot's folder in the cache. */
  get folder(): string {
    return this.#model.layout.snapshot(this.#found.commit);
  }

  /**
   * Finds the commit of a revision, and its files on the hub. The hub is asked once, and not at all for a
   * commit whose small files are in the cache, because a commit never changes.
   *
   * @param name The model, e.g. `PixArt-alpha/PixArt-Sigma-XL-2-512-MS`.
   * @param options The revision, the cache, and the handlers for progress and warnings. The signal only stops
   * this call.
   * @returns The model.
   * @throws {HubError} if it is neither on the hub nor in the cache. `code` is the kind of failure.
   */
  static async open(name: string, options: HubModelOptions = {}): Promise<HubModel> {
    const { revision = "main", fetches = true, signal, ...lasting } = options;
    if (!REVISION.test(revision)) {
      throw new InputError(
        "invalid_value",
        `Cannot download ${name}: the revision must be a branch, a tag or a commit, but is ${
          JSON.stringify(revision)
        }`,
      );
    }
    const settings = await hubSettings(options);
    const layout = cacheLayout(settings.cacheDir, name);
    const context = { model: name, revision, stallTimeout: settings.answerTimeout };
    const model: CachedModel = { settings, layout, context, options: lasting };
    const known = await readRef(layout, revision);
    const opened = (found: Found) => new HubModel(model, fetches, found);
    if (settings.localFilesOnly) {
      if (known !== undefined) return opened({ commit: known });
      throw offline(name, settings, `revision ${revision} was never fetched`);
    }
    if (COMMIT.test(revision) && await holdsSmallFiles(layout.snapshot(revision), name)) {
      return opened({ commit: revision });
    }
    try {
      // With a cached copy, one attempt is enough.
      const tries = known === undefined ? QUESTION_TRIES : 1;
      const repository = await listCommit(model, revision, tries, signal);
      const { commit } = repository;
      const former = known === commit ? undefined : known;
      return opened({ commit, remote: new CachedCommit(model, repository), former });
    } catch (fault) {
      if (!isRefusal(fault) || known === undefined) throw fault;
      return opened({ commit: known, fault });
    }
  }

  /**
   * Fetches the small files: configurations, the tokenizer, the indices of sharded weights.
   *
   * @param variant The variant of the weights; `""` for the plain ones.
   * @param signal Stops this call, and later downloads of weights.
   * @returns The files. Their weights are fetched on demand.
   * @throws {HubError} if they are neither on the hub nor in the cache. `code` is the kind of failure.
   * @throws {UnsupportedArchitectureError} if its architecture is not PixArt.
   * @throws {MissingVariantError} if no component has the variant.
   */
  async files(variant: string, signal?: AbortSignal): Promise<HubFiles> {
    let { remote } = this.#found;
    if (!this.#fetches && !this.#found.fault) remote ??= await this.#ask(signal);
    const missing = remote ? undefined : await this.#missingFromCache(variant);
    if (missing !== undefined) {
      remote = await this.#ask(signal);
      if (!remote) throw this.#incomplete(missing);
    }
    if (remote && !this.#fetches) return this.#overNetwork(remote.repository, variant, signal);
    if (remote) {
      const { former } = this.#found;
      try {
        await remote.fetchSmallFiles(variant, signal);
        this.#found = { ...this.#found, former: undefined };
      } catch (fault) {
        if (former === undefined || !isRefusal(fault)) throw fault;
        this.#found = { commit: former, fault };
        return await this.files(variant, signal);
      }
    }
    this.#warnOfCachedCopy();
    const source = await this.#openFolder();
    return {
      source,
      findWeights: (component, folder) => this.#weights(source, { component, folder, variant }, signal),
    };
  }

  /**
   * Fetches a LoRA adapter, unless it is in the cache.
   *
   * @param signal Stops this call.
   * @returns The adapter's files.
   * @throws {AdapterError} if the repository contains none.
   * @throws {HubError} if its files are neither on the hub nor in the cache.
   */
  async adapter(signal?: AbortSignal): Promise<CheckpointSource> {
    const { model } = this.#model.context;
    const remote = this.#found.remote ?? (await this.#holdsAdapter() ? undefined : await this.#ask(signal));
    if (remote && !this.#fetches) return this.#overNetwork(remote.repository, "", signal).source;
    if (remote) {
      const top = [...remote.repository.files.keys()].filter((path) => !path.includes("/"));
      const { weights, config } = adapterFiles(top, model);
      await remote.fetchFiles(config === undefined ? [weights] : [weights, config], signal);
    } else if (!await this.#holdsAdapter()) {
      throw this.#incomplete("the files of a LoRA are missing");
    }
    this.#warnOfCachedCopy();
    return await this.#openFolder();
  }

  /** Returns whether the cache contains a LoRA adapter. */
  async #holdsAdapter(): Promise<boolean> {
    try {
      const source = await this.#openFolder();
      const { weights } = adapterFiles(await source.list(""), source.name);
      return await source.exists(weights);
    } catch (error) {
      if (error instanceof CheckpointError || error instanceof AdapterError) return false;
      throw error;
    }
  }

  /**
   * Returns whether the cache contains the weights of all components.
   *
   * @param variant The variant of the weights; `""` for the plain ones.
   */
  async holdsWeights(variant: string): Promise<boolean> {
    try {
      const source = await this.#openFolder();
      const lone = await loneComponent(source);
      if (lone) return await wholeWeights(source, { component: lone, folder: "", variant }) !== undefined;
      const declared = await declaredParts(source);
      for (const component of COMPONENT_NAMES.filter((name) => declared.includes(name))) {
        const wanted = { component, folder: component };
        const whole = await wholeWeights(source, { ...wanted, variant }) ??
          await wholeWeights(source, { ...wanted, variant: "" });
        if (!whole) return false;
      }
      return true;
    } catch (error) {
      if (error instanceof CheckpointError || error instanceof FileError) return false;
      throw error;
    }
  }

  /** Opens the snapshot under the model's name. */
  #openFolder(): Promise<CheckpointSource> {
    return openDiskSource(this.folder, { name: this.#model.context.model });
  }

  /** Opens all files on the hub. */
  #overNetwork({ commit, files }: Repository, variant: string, signal: AbortSignal | undefined): HubFiles {
    const { settings, context } = this.#model;
    const source = openHttpSource(`${settings.endpoint}/${context.model}/resolve/${commit}/`, {
      name: context.model,
      files: Object.fromEntries([...files].map(([path, { size }]) => [path, size])),
      fetch: hubFetch(settings, { ...context, signal }),
    });
    return {
      source,
      findWeights: (component, folder) => componentWeights(source, { component, folder, variant }),
    };
  }

  /** Returns the files that the cache lacks to open the model. */
  async #missingFromCache(variant: string): Promise<string | undefined> {
    try {
      const source = await this.#openFolder();
      if (!await holdsMainFile(source)) return "model_index.json is missing";
      await componentVariants(source, variant);
      return undefined;
    } catch (error) {
      if (error instanceof CheckpointError) return error.message;
      throw error;
    }
  }

  /** Finds the weights of a component in the cache, or fetches them. */
  async #weights(
    source: CheckpointSource,
    wanted: WantedWeights,
    signal: AbortSignal | undefined,
  ): Promise<WeightFiles> {
    let { remote } = this.#found;
    if (!remote) {
      // A component that has the variant uses it, whatever the other components have.
      const whole = await wholeWeights(source, wanted);
      if (whole) return whole;
      remote = await this.#ask(signal);
      if (!remote) return await this.#cachedWeights(source, wanted);
      await remote.fetchSmallFiles(wanted.variant, signal);
    }
    return await remote.fetchWeights(wanted, signal);
  }

  /** Finds the weights of a component in the cache. */
  async #cachedWeights(source: CheckpointSource, wanted: WantedWeights): Promise<WeightFiles> {
    let weights: WeightFiles;
    try {
      weights = await componentWeights(source, wanted);
    } catch (error) {
      if (error instanceof CheckpointError) throw this.#incomplete(error.message);
      throw error;
    }
    for (const path of weights.paths) {
      if (!await source.exists(path)) throw this.#incomplete(`${path} is missing`);
    }
    return weights;
  }

  /**
   * Asks the hub for the files of the commit. Returns `undefined` if the hub must not be asked, cannot be
   * reached, or refuses.
   */
  async #ask(signal: AbortSignal | undefined): Promise<CachedCommit | undefined> {
    const { commit, fault } = this.#found;
    // An unreachable hub may come back; one that refused will refuse again.
    const isFinal = fault !== undefined && fault.code !== "unreachable";
    if (this.#model.settings.localFilesOnly || isFinal) return undefined;
    try {
      const repository = await listCommit(this.#model, commit, QUESTION_TRIES, signal);
      const remote = new CachedCommit(this.#model, repository);
      this.#found = { commit, remote };
      return remote;
    } catch (fault) {
      if (!isRefusal(fault)) throw fault;
      this.#found = { commit, fault };
      return undefined;
    }
  }

  /** Warns once that the cached copy is used, and why. */
  #warnOfCachedCopy(): void {
    const { commit, fault } = this.#found;
    if (!fault || this.#hasWarned) return;
    this.#hasWarned = true;
    const { options, context: { model, revision } } = this.#model;
    const copy = revision === commit ? commit : `${revision} as of commit ${commit.slice(0, 7)}`;
    options.onWarning?.(`Using the cached copy of ${model} (${copy}). ${fault.message}`);
  }

  /** Returns the error for files that are neither in the cache nor available from the hub. */
  #incomplete(missing: string): HubError {
    const { settings, context } = this.#model;
    const { fault } = this.#found;
    if (!fault) return offline(context.model, settings, missing);
    const { code, problem, advice } = fault;
    const cache = `The cache ${settings.cacheDir} does not contain all of it: ${missing}`;
    return new HubError(code, `${problem}. ${cache}`, { advice, cause: fault });
  }
}

/** Lists the files of a revision on the hub. */
async function listCommit(
  { settings, context, options }: CachedModel,
  revision: string,
  tries: number,
  signal: AbortSignal | undefined,
): Promise<Repository> {
  return await readRepository(settings, { ...context, revision, signal }, {
    ...options,
    tries: Math.min(options.tries ?? tries, tries),
    signal,
  });
}

function offline(model: string, { cacheDir }: HubSettings, missing: string): HubError {
  return new HubError(
    "offline",
    `Cannot use ${model} offline: the cache ${cacheDir} does not contain all of it: ${missing}`,
    { advice: "Unset HF_HUB_OFFLINE and localFilesOnly to download it" },
  );
}
