// This module is browser compatible.

/**
 * The executor's side of the protocol: sends stages to a host, passes on its reports, and kills it if it does
 * not respond.
 *
 * @module
 */

import { z } from "zod";
import { explainZodError } from "../../errors/explain_zod_error.ts";
import { PixstageError } from "../../errors/pixstage_error.ts";
import { deserializeError } from "../../errors/serialized_error.ts";
import type { JsonObject } from "../../artifacts/artifact.ts";
import type {
  ExecuteOptions,
  IdentifiedArtifact,
  MadeByStage,
  Preparation,
  StageResponse,
} from "../executors/executor.ts";
import { type HostEnd, StageProcessError } from "./host_error.ts";
import {
  type HostChannel,
  type HostReply,
  hostReplySchema,
  type HostRequest,
  type HostSettings,
  type HostTask,
  PROTOCOL_VERSION,
  type SentArtifact,
} from "./protocol.ts";

/** A host that was started. */
export interface HostLink extends HostChannel<HostRequest> {
  /** Id of its process, if it has its own. */
  readonly pid?: number | undefined;
  /** Resolves when the host has ended. */
  readonly ended: Promise<HostEnd>;
  /** Lets an idle host end. Resolves when the host has ended. */
  close(): Promise<void>;
  /** Kills the host. Resolves when the host has ended. */
  kill(): Promise<void>;
}

/** How artifacts travel between an executor and its host. */
export interface ArtifactCarrier {
  /** The folder of the store that artifacts travel through, if there is one. */
  readonly folder?: string | undefined;
  /** Whether the folder is deleted together with the host. */
  readonly temporary?: boolean | undefined;
  /** A folder for artifacts that the store cannot take, if the channel does not carry them. */
  readonly spare?: string | undefined;
  /** Prepares an artifact for sending. */
  send(artifact: IdentifiedArtifact): Promise<SentArtifact>;
  /** Accepts an artifact that arrived. */
  receive(sent: SentArtifact): Promise<MadeByStage>;
}

/** Options of {@linkcode HostConnection}. */
export interface HostConnectionOptions {
  /** The host. */
  readonly link: HostLink;
  /** The host's settings. */
  readonly settings: HostSettings;
  /** Milliseconds that a cancelled stage has to end by itself. */
  readonly graceMs: number;
  /** Called with the progress of downloads. */
  readonly onDownload?: ((progress: JsonObject) => void) | undefined;
  /** Called with warnings about the hub. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Parameters in which the built-in stages name a model. */
const MODEL_PARAMETERS = ["model", "transformer", "vae", "controlnet"] as const;

/** A task that a host works on. */
interface Task {
  /** Handles replies to the task. */
  take(reply: HostReply): Promise<void> | void;
  /** Fails the task. */
  fail(error: unknown): void;
}

/** A connection to one host, which performs one task at a time. */
export class HostConnection {
  #options: HostConnectionOptions;
  #ready = Promise.withResolvers<void>();
  #tasks = new Map<string, Task>();
  #held = new Set<string>();
  #isOver = false;

  /** @param options How to reach the host. The constructor opens it. */
  constructor(options: HostConnectionOptions) {
    this.#options = options;
    const { link, settings } = options;
    // Each task receives the failure itself.
    this.#ready.promise.catch(() => {});
    link.onMessage = (message) => this.#take(message);
    link.ended.then((end) => this.#end(end));
    link.send({ type: "open", version: PROTOCOL_VERSION, settings });
  }

  /** Id of the host's process, if it has its own. */
  get pid(): number | undefined {
    return this.#options.link.pid;
  }

  /** Whether the host has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Models whose weights the host has in memory, by the names that stages used. */
  get held(): ReadonlySet<string> {
    return this.#held;
  }

  /** Prepares a node on the host. */
  async prepare(task: HostTask, signal: AbortSignal): Promise<Preparation> {
    return await this.#do<Preparation>(task.stage, signal, (id, done) => {
      this.#options.link.send({ type: "prepare", id, task });
      return (reply) => {
        if (reply.type === "prepared") done(reply.preparation);
      };
    });
  }

  /** Runs a node on the host. */
  async run(
    task: HostTask,
    inputs: Readonly<Record<string, IdentifiedArtifact>>,
    carrier: ArtifactCarrier,
    { signal, snapshots, previews, report }: ExecuteOptions,
  ): Promise<StageResponse> {
    const { link } = this.#options;
    const { folder, temporary, spare } = carrier;
    const sent: Record<string, SentArtifact> = {};
    for (const [port, input] of Object.entries(inputs)) sent[port] = await carrier.send(input);
    const saved = snapshots?.saved && await carrier.send(snapshots.saved);
    return await this.#do<StageResponse>(task.stage, signal, (id, done) => {
      link.send({
        type: "run",
        id,
        task,
        inputs: sent,
        store: folder,
        temporary,
        spare,
        previews,
        snapshots: snapshots?.policy,
        saved,
      });
      return async (reply) => {
        if (reply.type === "report") return report(reply.event);
        if (reply.type === "snapshot") {
          await snapshots?.keep(await carrier.receive(reply.state));
          return link.send({ type: "kept", id });
        }
        if (reply.type !== "done") return;
        if (reply.released) this.#held.clear();
        else if (task.residency === "resident") modelsOf(task).forEach((model) => this.#held.add(model));
        const outputs: Record<string, MadeByStage> = {};
        for (const [port, artifact] of Object.entries(reply.outputs)) {
          outputs[port] = await carrier.receive(artifact);
        }
        done({ outputs, memory: reply.memory });
      };
    });
  }

  /** Lets the host end. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.#options.link.close();
  }

  /** Kills the host. */
  async kill(): Promise<void> {
    this.#isOver = true;
    await this.#options.link.kill();
  }

  /** Performs one task, and asks the host to stop it when the signal is aborted. */
  async #do<T>(
    stage: string,
    signal: AbortSignal,
    start: (id: string, done: (result: T) => void) => Task["take"],
  ): Promise<T> {
    const { link, graceMs } = this.#options;
    signal.throwIfAborted();
    const id = crypto.randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    promise.catch(() => {});
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = (): void => {
      link.send({ type: "cancel", id });
      // The host may be in the middle of a long step.
      timer = setTimeout(() => reject(signal.reason), graceMs);
    };
    signal.addEventListener("abort", stop, { once: true });
    this.#tasks.set(id, {
      take: () => {},
      fail: (error) => reject(error instanceof EndedHost ? new StageProcessError(stage, error.end) : error),
    });
    try {
      await Promise.race([this.#ready.promise, promise]);
      const take = start(id, resolve);
      this.#tasks.set(id, { ...this.#tasks.get(id)!, take });
      return await promise;
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof EndedHost ? new StageProcessError(stage, error.end) : error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      this.#tasks.delete(id);
    }
  }

  /** Takes a message. Nothing that a host sends may fail more than the host and its tasks. */
  #take(message: unknown): void {
    try {
      this.#takeReply(hostReplySchema.parse(message));
    } catch (error) {
      this.#fail(error instanceof z.ZodError ? unreadable(error) : error);
      // The host may still work on the task that has failed.
      this.kill().catch(() => {});
    }
  }

  #takeReply(reply: HostReply): void {
    if (reply.type === "ready") return this.#ready.resolve();
    if (reply.type === "download") return this.#options.onDownload?.(reply.progress);
    if (reply.type === "warning") return this.#options.onWarning?.(reply.message);
    if (reply.type === "failed") {
      const error = deserializeError(reply.error);
      return reply.id === undefined ? this.#fail(error) : this.#tasks.get(reply.id)?.fail(error);
    }
    const task = this.#tasks.get(reply.id);
    Promise.resolve(task?.take(reply)).catch((error) => task?.fail(error));
  }

  #end(end: HostEnd): void {
    this.#isOver = true;
    this.#fail(new EndedHost(end));
  }

  #fail(error: unknown): void {
    this.#ready.reject(error);
    for (const task of this.#tasks.values()) task.fail(error);
  }
}

/** Returns the error for a message that does not follow the protocol. */
function unreadable(cause: z.ZodError): PixstageError {
  const { path, problem } = explainZodError(cause);
  return new PixstageError(
    "internal",
    `Cannot read a message of the host that ran the stage: ${path.join(".") || "the message"} ${problem}`,
    { cause },
  );
}

/** Returns the models that the parameters of a task name. */
function modelsOf({ parameters }: HostTask): string[] {
  return MODEL_PARAMETERS.map((name) => parameters[name]).filter((name) => typeof name === "string");
}

/** The host has ended. Each task replaces this with an error that names its stage. */
class EndedHost extends Error {
  readonly end: HostEnd;

  constructor(end: HostEnd) {
    super("The host has ended");
    this.end = end;
  }
}
