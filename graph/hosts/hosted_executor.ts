// This module is browser compatible.

import type { JsonObject } from "../../artifacts/artifact.ts";
import { asJson } from "../../artifacts/canonical_json.ts";
import type { RunStore } from "../../artifacts/store/store.ts";
import type {
  ExecuteOptions,
  Executor,
  IdentifiedArtifact,
  PreparedNode,
  PrepareRequest,
  StageResponse,
} from "../executors/executor.ts";
import { type ArtifactCarrier, HostConnection, type HostLink } from "./host_connection.ts";
import type { HostSettings, HostTask } from "./protocol.ts";
import { type WarmHost, WarmHosts } from "./warm_hosts.ts";

/** What an executor with hosts needs. */
export interface HostedExecutorOptions extends Partial<HostSettings> {
  /**
   * Milliseconds that a stage has to end by itself once it is cancelled, before its host is ended.
   *
   * @default {500}
   */
  readonly graceMs?: number | undefined;
  /**
   * Hosts that are kept between stages, so that weights that are resident stay open. With none each stage has a host of
   * its own, which ends with it and gives back all memory.
   *
   * @default {0}
   */
  readonly warmHosts?: number | undefined;
  /**
   * Milliseconds that such a host waits for its next stage before it ends.
   *
   * @default {Infinity}
   */
  readonly keepAliveMs?: number | undefined;
  /** Tries nodes in this thread, where hosts would download weights to prepare them. */
  readonly trial?: Executor | undefined;
  /** Takes the progress of downloads. */
  readonly onDownload?: ((progress: JsonObject) => void) | undefined;
  /** Takes warnings about the hub. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Runs stages in hosts: threads or processes beside this one. */
export abstract class HostedExecutor implements Executor {
  abstract readonly name: string;
  #options: HostedExecutorOptions;
  #warm: WarmHosts;

  /** @param options The hosts' settings. */
  constructor(options: HostedExecutorOptions = {}) {
    this.#options = options;
    this.#warm = new WarmHosts(options.keepAliveMs ?? Infinity);
  }

  /** Starts a host. */
  protected abstract start(): HostLink;

  /** How artifacts travel for a run with this store. */
  protected abstract carrier(store: RunStore): Promise<ArtifactCarrier & AsyncDisposable>;

  /** Cleans up behind a host that was ended in the midst of its work. */
  protected async cleanUp(_folder: string | undefined, _pid: number | undefined): Promise<void> {}

  /** Milliseconds that a stage has to end by itself. */
  protected get graceMs(): number {
    return this.#options.graceMs ?? 500;
  }

  /** Whether preparing a node downloads weights: the hosts find models where this thread finds them. */
  async downloads(node: PrepareRequest["node"]): Promise<boolean> {
    return await this.#options.trial?.downloads?.(node) ?? false;
  }

  /** Prepares a node in a host, which then waits for nodes to run. */
  prepare(request: PrepareRequest, options: { readonly signal: AbortSignal }): Promise<PreparedNode> {
    return this.#prepare(request, options);
  }

  /**
   * This executor for one run, which says how long the hosts that it used wait afterwards.
   *
   * @param keepMs Milliseconds; those of the executor unless given, and 0 to end them with the run.
   */
  keepingWarm(keepMs?: number): Executor {
    const used = new Set<HostConnection>();
    return {
      name: this.name,
      downloads: (node) => this.downloads(node),
      prepare: (request, options) => this.#prepare(request, options, used),
      runEnded: async () => {
        await Promise.all([...used].map((host) => this.#warm.keep(host, keepMs)));
        await this.runEnded();
      },
    };
  }

  async #prepare(
    request: PrepareRequest,
    { signal }: { readonly signal: AbortSignal },
    used?: Set<HostConnection>,
  ): Promise<PreparedNode> {
    const { node, inputs, residency, lowestPrecision, isTrial } = request;
    const { trial } = this.#options;
    if (isTrial && trial) return await trial.prepare(request, { signal });
    const task: HostTask = {
      node: node.id,
      stage: node.stage.name,
      stageVersion: node.stage.version,
      parameters: asJson(node.parameters) as JsonObject,
      outlines: JSON.parse(JSON.stringify(inputs)),
      residency,
      lowestPrecision,
    };
    // The host that ran last has weights open: it is left to the next stage that runs.
    const host = this.#take("first");
    used?.add(host);
    try {
      const preparation = await host.prepare(task, signal);
      this.#warm.prepared(host);
      return {
        ...preparation,
        execute: (artifacts, options) => this.#execute(task, artifacts, options, used),
      };
    } catch (error) {
      // A host whose stage was refused is as good as before; one that was cancelled may be at work still.
      if (signal.aborted || host.isOver) await this.#kill(host);
      else this.#warm.prepared(host);
      throw error;
    }
  }

  /** Ends the hosts that wait, but for those that are to be kept. */
  async runEnded(): Promise<void> {
    const { warmHosts = 0 } = this.#options;
    await this.#warm.trim(warmHosts);
  }

  /** The hosts that work or wait. */
  get hosts(): readonly WarmHost[] {
    return this.#warm.list();
  }

  /**
   * Ends the hosts that hold a model, or all of them; one that is at work ends with its run.
   *
   * @returns The models whose weights are given back.
   */
  unload(model?: string): Promise<string[]> {
    return this.#warm.unload(model);
  }

  /** Ends all hosts that wait. */
  async close(): Promise<void> {
    await this.#warm.close();
  }

  async #execute(
    task: HostTask,
    inputs: Readonly<Record<string, IdentifiedArtifact>>,
    options: ExecuteOptions,
    used?: Set<HostConnection>,
  ): Promise<StageResponse> {
    const { warmHosts = 0 } = this.#options;
    options.signal.throwIfAborted();
    await using carrier = await this.carrier(options.store);
    const host = this.#take("last");
    used?.add(host);
    let isIdle = false;
    try {
      const response = await host.run(task, inputs, carrier, options);
      isIdle = true;
      return response;
    } catch (error) {
      isIdle = warmHosts > 0 && !options.signal.aborted && !host.isOver;
      throw error;
    } finally {
      if (isIdle && warmHosts > 0) this.#warm.ran(host);
      else if (isIdle) {
        this.#warm.drop(host);
        await host.close();
      } else {
        await this.#kill(host);
        await this.cleanUp(carrier.folder, host.pid);
      }
    }
  }

  /** The first or last host of those that wait, or a new one. */
  #take(which: "first" | "last"): HostConnection {
    const waiting = this.#warm.take(which);
    if (waiting) return waiting;
    const { plugins = [], models = {}, runtime = {}, fingerprints, background, onDownload, onWarning } =
      this.#options;
    const settings: HostSettings = {
      plugins: [...plugins],
      models,
      runtime,
      fingerprints,
      background,
    };
    const link = this.start();
    const host = new HostConnection({ link, settings, graceMs: this.graceMs, onDownload, onWarning });
    this.#warm.add(host);
    return host;
  }

  async #kill(host: HostConnection): Promise<void> {
    this.#warm.drop(host);
    await host.kill();
  }
}

/**
 * Artifacts travel through a store in a folder that both sides open; those that it cannot take, being full, travel through
 * a spare one, or in the messages.
 *
 * @param store The store.
 * @param spare The spare store, where messages do not carry artifacts.
 */
export function sharedStoreCarrier(store: RunStore, spare?: RunStore): ArtifactCarrier {
  return {
    folder: store.folder,
    spare: spare?.folder,
    async send({ id, artifact }) {
      if (await store.has(id)) return { id };
      const kept = await store.put(artifact).catch(() => undefined) ?? await spare?.put(artifact);
      return kept === undefined ? { artifact } : { id: kept };
    },
    async receive({ id, artifact }) {
      if (artifact) return { artifact };
      const other = await store.has(id!) ? undefined : await spare?.get(id!);
      return other ? { artifact: other } : { id: id! };
    },
  };
}
