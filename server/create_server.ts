/**
 * Assembles the server from its parts.
 *
 * @module
 */

import { join } from "node:path";
import { defaultStoreFolder } from "../artifacts/store/default_folder.ts";
import { toPixstageError } from "../errors/foreign_error.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import { FolderStore } from "../artifacts/store/folder_store.ts";
import { MirroredStore } from "../artifacts/store/mirrored_store.ts";
import type { S3Store } from "../artifacts/store/s3_store.ts";
import { storedOrigin } from "../graph/lineage.ts";
import { listModels } from "../hub/list_models.ts";
import type { PrecisionByStage } from "../models/precision.ts";
import type { Residency } from "../models/segments.ts";
import type { Device } from "../runtime/device.ts";
import type { QueueExecutor } from "../queue/queue_executor.ts";
import { builtInStages } from "../stages/mod.ts";
import { loadPlugins } from "../graph/plugins.ts";
import { requireUsableHost, requireUsableKey } from "./access.ts";
import { createApp } from "./app.ts";
import { ArtifactFiles } from "./artifact_files.ts";
import type { Engine } from "./engine/engine.ts";
import type { ModelEntry } from "../hub/listed_models.ts";
import { HostedEngine } from "./engine/hosted_engine.ts";
import { JobStore } from "./jobs/job_store.ts";
import { Jobs } from "./jobs/jobs.ts";
import { KeptArtifacts } from "./jobs/kept_artifacts.ts";
import { StoreSpace } from "./jobs/store_space.ts";
import { type Limits, limitsWith } from "./limits.ts";
import { type Log, noLog } from "./log.ts";
import { McpSessions } from "./mcp/sessions.ts";
import { Metrics } from "./metrics.ts";
import { LINK_SECONDS, PictureLinks } from "./picture_links.ts";
import type { PictureOrder } from "./pictures/picture_order.ts";
import { Pictures } from "./pictures/pictures.ts";
import { publish } from "./pictures/publish.ts";
import { clientAddr, parseBasePath, type PeerAddress, proxyTrust, publicAddress } from "./public_address.ts";
import { servedLoras } from "./served_loras.ts";
import { describeModels } from "./served_models.ts";
import { RunSpans } from "./spans.ts";
import { StoreQuota } from "./store_quota.ts";
import { AllowedHosts } from "./webhooks/allowed_hosts.ts";
import { webhookSecret } from "./webhooks/signature.ts";
import { RETRY_DELAYS, Webhooks, type WebhookSettings } from "./webhooks/webhooks.ts";

/** Total size, in bytes, up to which models stay in memory between runs. */
const SMALL_BYTES = 1e9;

/** Graphs that run at once if workers run the stages. The server itself only waits for them. */
const QUEUE_CONCURRENCY = 32;

/** Options of {@linkcode createServer}. */
export interface ServerOptions {
  /**
   * The models that requests may name, the default one first.
   *
   * @default {the embedded model and those in the hub's cache}
   */
  readonly models?: readonly ModelEntry[] | undefined;
  /**
   * The LoRA adapters that requests may name. The server refuses to start if one fits none of the models.
   *
   * @default {those of the embedded model, unless `models` is given}
   */
  readonly loras?: readonly ModelEntry[] | undefined;
  /**
   * A folder of further LoRA adapters that requests may name. The server leaves out those that fit none of
   * the models.
   */
  readonly loraFolder?: string | undefined;
  /**
   * The folder of the store. It also contains the job database.
   *
   * @default {PIXSTAGE_STORE, else a folder in the user's cache}
   */
  readonly store?: string | undefined;
  /**
   * A store in S3 that this server shares with others. The local folder then contains the jobs and copies of
   * artifacts.
   *
   * @default {none: the folder is the store}
   */
  readonly bucket?: S3Store | undefined;
  /**
   * Lifetime of picture links in seconds, at most a week. It applies if the server has an API key or its
   * store is in S3.
   *
   * @default {3600}
   */
  readonly linkSeconds?: number | undefined;
  /**
   * Number of graphs that run at once.
   *
   * @default {1, or 32 with a queue}
   */
  readonly concurrency?: number | undefined;
  /**
   * The device to run on, or several GPUs to spread jobs over.
   *
   * @default {"cpu"}
   */
  readonly device?: Device | readonly Device[] | undefined;
  /**
   * Limit on a run's main memory, in bytes.
   *
   * @default {no limit}
   */
  readonly maxMemory?: number | undefined;
  /**
   * Limit on a run's GPU memory, in bytes.
   *
   * @default {no limit}
   */
  readonly maxGpuMemory?: number | undefined;
  /**
   * Addresses of plugin modules, which add stages, architectures and schedulers.
   *
   * @default {[]}
   */
  readonly plugins?: readonly string[] | undefined;
  /**
   * Threads per operation.
   *
   * @default {all cores}
   */
  readonly threads?: number | undefined;
  /**
   * How long all stages keep their weights.
   *
   * @default {"resident" if all models together are small, else what suits each stage}
   */
  readonly residency?: Residency | undefined;
  /**
   * Precision of the matrices for picture requests that name none, by stage; `*` stands for all other stages.
   *
   * @default {"float32"}
   */
  readonly precision?: PrecisionByStage | undefined;
  /**
   * Maximum size of the store in bytes. If the store exceeds it, the server removes the least recently used
   * files.
   *
   * @default {nothing is removed}
   */
  readonly storeBytes?: number | undefined;
  /**
   * Age in milliseconds after which the server removes an unused file from the store.
   *
   * @default {nothing is removed}
   */
  readonly storeMaxAgeMs?: number | undefined;
  /**
   * Milliseconds that an idle stage process stays alive with the weights that it has loaded, unless a request
   * says otherwise.
   *
   * @default {Infinity}
   */
  readonly keepAliveMs?: number | undefined;
  /**
   * The hosts to which jobs may send webhooks.
   *
   * @default {none}
   */
  readonly webhooks?: WebhookSettings | undefined;
  /** Limits that differ from `DEFAULT_LIMITS`. */
  readonly limits?: Partial<Limits> | undefined;
  /** The key that requests must carry. Without it, requests need no key. */
  readonly apiKey?: string | undefined;
  /**
   * Names that the server answers to in addition to this machine's and to IP addresses: `pictures.example`,
   * `*.example`, or `*` for all.
   *
   * @default {[]}
   */
  readonly allowedHosts?: readonly string[] | undefined;
  /**
   * The reverse proxies whose `X-Forwarded-` headers the server trusts: their number, addresses, or networks.
   *
   * @default {[]}
   */
  readonly trustProxy?: readonly string[] | undefined;
  /**
   * The path that the server is mounted at, e.g. `/pixstage`. A proxy may strip it from requests.
   *
   * @default {"/"}
   */
  readonly basePath?: string | undefined;
  /**
   * Origins whose pages may call the server, in addition to its own.
   *
   * @default {[]}
   */
  readonly corsOrigins?: readonly string[] | undefined;
  /**
   * Milliseconds between two heartbeats in an event stream.
   *
   * @default {15000}
   */
  readonly heartbeatMs?: number | undefined;
  /** Receives log entries. Without it, the server logs nothing. */
  readonly log?: Log | undefined;
  /**
   * The queue whose workers run the stages, e.g. `redis://HOST`. The workers share the server's store.
   *
   * @default {none: child processes run them}
   */
  readonly queue?: string | undefined;
  /** Runs the graphs. By default, child processes do. */
  readonly engine?: Engine | undefined;
}

/** A server, ready to answer requests. */
export interface Server {
  /** Answers a request. */
  readonly fetch: (
    request: Request,
    info?: { readonly remoteAddr: PeerAddress },
  ) => Response | Promise<Response>;
  /** Names of the models that the server offers. */
  readonly models: readonly string[];
  /** Stops all runs. Unfinished jobs continue once a server opens the same store. */
  close(): Promise<void>;
}

/**
 * Creates a server: OpenAI's images endpoint, jobs with events, stages, artifacts, and the studio page.
 *
 * @param options Options of the server.
 * @returns The server. Pass it to `listen`, or pass its `fetch` to `Deno.serve`.
 * @throws {PixstageError} if a named model cannot be served, another server uses the same store, or the
 * system refuses access.
 * @throws {InputError} if a request cannot carry the API key or a host's name, or if a proxy or the base path
 * is malformed.
 *
 * @example Usage
 * ```ts
 * import { createServer } from "./create_server.ts";
 *
 * const store = await Deno.makeTempDir();
 * const server = await createServer({ store, models: [] });
 * const reply = await server.fetch(new Request("http://localhost/healthz"));
 * console.assert(reply.status === 200);
 * await server.close();
 * await Deno.remove(store, { recursive: true });
 * ```
 */
export async function createServer(options: ServerOptions = {}): Promise<Server> {
  const {
    concurrency,
    device = "cpu",
    threads,
    apiKey,
    allowedHosts = [],
    corsOrigins = [],
    heartbeatMs = 15_000,
  } = options;
  const {
    store = defaultStoreFolder(),
    storeBytes,
    storeMaxAgeMs,
    log = noLog,
    bucket,
    linkSeconds = LINK_SECONDS,
    plugins = [],
    maxMemory,
    maxGpuMemory,
  } = options;
  if (apiKey !== undefined) requireUsableKey(apiKey);
  for (const name of allowedHosts) requireUsableHost(name);
  const trust = proxyTrust(options.trustProxy ?? []);
  const basePath = parseBasePath(options.basePath ?? "/");
  const limits = limitsWith(options.limits);
  const webhookHosts = new AllowedHosts(options.webhooks?.allow ?? []);
  const secret = options.webhooks && webhookSecret(options.webhooks.secret);
  const links = new PictureLinks(apiKey, linkSeconds);
  const registry = await loadPlugins(builtInStages(), plugins);
  const entries = options.models ??
    (await listModels()).map(({ name }): ModelEntry => ({ name, reference: name }));
  const { models, decoders, transformers, controlnets, weightBytes } = await describeModels(
    entries,
    (entry, error, isServed) => {
      const { code, message } = toPixstageError(error);
      // A machine may have models that cannot be served, but a model that the operator names must work.
      if (options.models && !isServed) {
        throw new PixstageError(code, `Cannot serve model "${entry.name}": ${message}`, { cause: error });
      }
      log(isServed ? "model_served_in_part" : "model_skipped", { model: entry.name, error: message });
    },
  );
  const loras = await servedLoras(
    {
      named: options.loras ?? [],
      embedded: options.models === undefined,
      folder: options.loraFolder,
    },
    [...models, ...transformers],
    log,
  );
  const residency = options.residency ?? (weightBytes <= SMALL_BYTES ? "resident" : undefined);
  const workers = options.queue === undefined ? undefined : await queueWorkers(options.queue, log);
  const files = new FolderStore(store);
  const shared = bucket && new MirroredStore(bucket, files);
  const engine = options.engine ??
    new HostedEngine({
      executor: workers,
      registry,
      plugins,
      maxMemory,
      maxGpuMemory,
      models: [...models, ...decoders, ...transformers, ...controlnets].map(({ name, reference }) => ({
        name,
        reference,
      })),
      loras: loras.map(({ name, reference }) => ({ name, reference })),
      store,
      results: shared ?? files,
      concurrency: concurrency ?? (workers ? QUEUE_CONCURRENCY : undefined),
      devices: typeof device === "string" ? [device] : device,
      threads,
      residency,
      keepAliveMs: options.keepAliveMs,
    });
  const metrics = new Metrics();
  const spans = new RunSpans();
  const quota = new StoreQuota(files, {
    maxBytes: storeBytes,
    maxAgeMs: storeMaxAgeMs,
    inUse: () => jobs.artifactsInUse(),
    log,
  });
  const jobStore = new JobStore(join(store, "jobs.sqlite"), log);
  const { delays = RETRY_DELAYS } = options.webhooks ?? {};
  const webhooks = secret && new Webhooks({ store: jobStore, secret, links, delays, log });
  const kept = new KeptArtifacts(files, () => jobs.starredArtifacts(), log);
  const jobs: Jobs = new Jobs({
    engine,
    limits,
    store: jobStore,
    space: new StoreSpace(files, shared ?? files),
    observer: {
      ordered: (jobRun) => spans.ordered(jobRun),
      began: (jobRun) => spans.began(jobRun),
      within: (jobRun, work) => spans.within(jobRun, work),
      event(event, jobRun) {
        metrics.event(event);
        spans.event(event, jobRun);
      },
      starred: () => kept.changed(),
      ended(job) {
        metrics.ended(job);
        quota.grown();
        if (job.starred) kept.changed();
        queueMicrotask(() => webhooks?.look());
        const { id, kind, status, error } = job;
        log("job", {
          id,
          kind,
          status,
          seconds: Math.max((job.completed ?? 0) - job.created, 0),
          ...(error ? { error } : {}),
        });
      },
      fault(error, { jobs }) {
        const { code, name, message } = toPixstageError(error);
        log("job_fault", { ids: [...jobs.keys()], code, error: name, message });
      },
    },
  });
  metrics.watch(jobs);
  metrics.watchHosts(() => engine.hosts());
  if (workers) metrics.watchQueues(() => workers.depths());
  const artifacts = new ArtifactFiles(store, quota, shared);
  const sessions = new McpSessions(limits);
  const fetchOrigin = shared && ((id: string) => storedOrigin(id, shared));
  const pictures = new Pictures(store, artifacts, quota, limits, fetchOrigin);
  const context = {
    limits,
    models,
    decoders: decoders.map(({ name }) => name),
    transformers: transformers.map(({ name }) => name),
    controlnets: controlnets.map(({ name }) => name),
    loras,
    registry,
    engine,
    pictures,
    jobs,
    store: shared ?? files,
    artifacts,
    links,
    webhookHosts,
    publish: bucket && ((order: PictureOrder) => publish(order, bucket, pictures, linkSeconds)),
    sessions,
    precision: options.precision,
    heartbeatMs,
  };
  const app = createApp({ context, apiKey, allowedHosts, basePath, corsOrigins, metrics, log });
  return {
    fetch(request, info) {
      const address = publicAddress(request, info?.remoteAddr, { trust, basePath });
      const remoteAddr = clientAddr(info?.remoteAddr, address);
      return app.fetch(request, { remoteAddr, address });
    },
    models: models.map(({ name }) => name),
    async close() {
      metrics.close();
      await sessions.close();
      await webhooks?.close();
      pictures.close();
      await quota.close();
      await kept.close();
      await jobs.close();
    },
  };
}

/** Connects to the queue whose workers run the stages. */
async function queueWorkers(address: string, log: Log): Promise<QueueExecutor> {
  const { QueueExecutor } = await import("../queue/queue_executor.ts");
  const executor = new QueueExecutor(address, {
    keepsOpen: true,
    onWarning: (error) => log("queue_error", { error }),
  });
  await executor.connect();
  return executor;
}
