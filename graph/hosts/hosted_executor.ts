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
  #idle: HostConnection[] = [];

  /** @param options The hosts' settings. */
  constructor(options: HostedExecutorOptions = {}) {
    this.#options = options;
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
  async prepare(
    request: PrepareRequest,
    { signal }: { readonly signal: AbortSignal },
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
    try {
      const preparation = await host.prepare(task, signal);
      this.#idle.unshift(host);
      return { ...preparation, execute: (artifacts, options) => this.#execute(task, artifacts, options) };
    } catch (error) {
      // A host whose stage was refused is as good as before; one that was cancelled may be at work still.
      if (signal.aborted || host.isOver) await host.kill();
      else this.#idle.unshift(host);
      throw error;
    }
  }

  /** Ends the hosts that wait, but for those that are to be kept. */
  async runEnded(): Promise<void> {
    const { warmHosts = 0 } = this.#options;
    await Promise.all(this.#idle.splice(warmHosts).map((host) => host.close()));
  }

  /** Ends all hosts that wait. */
  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((host) => host.close()));
  }

  async #execute(
    task: HostTask,
    inputs: Readonly<Record<string, IdentifiedArtifact>>,
    options: ExecuteOptions,
  ): Promise<StageResponse> {
    const { warmHosts = 0 } = this.#options;
    options.signal.throwIfAborted();
    await using carrier = await this.carrier(options.store);
    const host = this.#take("last");
    let isIdle = false;
    try {
      const response = await host.run(task, inputs, carrier, options);
      isIdle = true;
      return response;
    } catch (error) {
      isIdle = warmHosts > 0 && !options.signal.aborted && !host.isOver;
      throw error;
    } finally {
      if (isIdle && warmHosts > 0) this.#idle.push(host);
      else if (isIdle) await host.close();
      else {
        await host.kill();
        await this.cleanUp(carrier.folder, host.pid);
      }
    }
  }

  /** The first or last host of those that wait, or a new one. */
  #take(which: "first" | "last"): HostConnection {
    this.#idle = this.#idle.filter(({ isOver }) => !isOver);
    const waiting = which === "first" ? this.#idle.shift() : this.#idle.pop();
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
    return new HostConnection({ link: this.start(), settings, graceMs: this.graceMs, onDownload, onWarning });
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
