// This module is browser compatible.

import { serializeError } from "../../errors/serialized_error.ts";
import { InputError, InternalError } from "../../errors/pixstage_error.ts";
import { ArtifactError, type JsonObject } from "../../artifacts/artifact.ts";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import type { ArtifactStore, RunStore } from "../../artifacts/store/store.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { StageRegistry } from "../../stages/registry.ts";
import type { Executor, IdentifiedArtifact, MadeByStage, PreparedNode } from "../executors/executor.ts";
import {
  type HostChannel,
  type HostReply,
  type HostRequest,
  hostRequestSchema,
  type HostSettings,
  type HostTask,
  PROTOCOL_VERSION,
  type SentArtifact,
} from "./protocol.ts";

/** The environment that stages run in. */
export interface HostEnvironment {
  /** The stages. */
  readonly registry: StageRegistry;
  /** Runs stages in this thread. */
  readonly executor: Executor;
  /** Runs ONNX graphs. */
  readonly runtime: Runtime;
  /** Opens the store in a folder. */
  openStore(folder: string): RunStore;
}

/** Opens the environment that stages run in. */
export type OpenEnvironment = (settings: HostSettings, handlers: HubHandlers) => Promise<HostEnvironment>;

/** Handlers for what happens while models are opened from the hub. */
export interface HubHandlers {
  /** Called with the progress of downloads. */
  readonly onDownload: (progress: JsonObject) => void;
  /** Called with a warning about a hub that cannot be reached. */
  readonly onWarning: (message: string) => void;
}

/** Resident sessions are released when the process has grown beyond this number of bytes. */
const KEPT_BYTES = 3e9;
/** Maximum number of prepared nodes that wait to run. */
const PREPARED_NODES = 64;

/**
 * Runs stages for an executor at the other end of a channel, until the channel's owner ends it.
 *
 * @param channel The channel to the executor.
 * @param openEnvironment Opens the environment that stages run in.
 */
export function hostStages(channel: HostChannel<HostReply>, openEnvironment: OpenEnvironment): void {
  const send = (reply: HostReply): void => channel.send(reply, givenBuffers(reply));
  const running = new Map<string, HostedRun>();
  const prepared = new Map<string, PreparedNode>();
  let environment: Promise<HostEnvironment> | undefined;
  const opened = async (): Promise<HostEnvironment> => {
    if (environment) return await environment;
    throw new InternalError("Cannot run a stage before the host is opened");
  };
  const handle = async (request: HostRequest): Promise<void> => {
    switch (request.type) {
      case "open":
        if (request.version !== PROTOCOL_VERSION) throw wrongVersion(request.version);
        environment = openEnvironment(request.settings, {
          onDownload: (progress) => send({ type: "download", progress }),
          onWarning: (message) => send({ type: "warning", message }),
        });
        await environment;
        return send({ type: "ready", version: PROTOCOL_VERSION });
      case "prepare":
      case "run": {
        const run = new HostedRun(request.id, send);
        running.set(request.id, run);
        try {
          if (request.type === "run") return send(await run.execute(request, await opened(), prepared));
          const node = await run.prepare(request.task, await opened());
          const [oldest] = prepared.keys();
          if (prepared.size >= PREPARED_NODES) prepared.delete(oldest!);
          prepared.set(JSON.stringify(request.task), node);
          const { execute: _execute, ...preparation } = node;
          return send({
            type: "prepared",
            id: request.id,
            preparation: JSON.parse(JSON.stringify(preparation)),
          });
        } finally {
          running.delete(request.id);
        }
      }
      case "cancel":
        return running.get(request.id)?.cancel();
      case "kept":
        return running.get(request.id)?.kept();
    }
  };
  channel.onMessage = (message) => {
    const parsed = hostRequestSchema.safeParse(message);
    const id = parsed.data && "id" in parsed.data ? { id: parsed.data.id } : {};
    const handled = parsed.success ? handle(parsed.data) : Promise.reject(parsed.error);
    handled.catch((error) => send({ type: "failed", ...id, error: serializeError(error) }));
  };
}

/** One stage that is prepared or runs here for a remote executor. */
class HostedRun {
  #id: string;
  #send: (reply: HostReply) => void;
  #controller = new AbortController();
  #kept = Promise.withResolvers<void>();

  constructor(id: string, send: (reply: HostReply) => void) {
    this.#id = id;
    this.#send = send;
  }

  cancel(): void {
    this.#controller.abort(new DOMException("The run was stopped", "AbortError"));
  }

  kept(): void {
    this.#kept.resolve();
  }

  async prepare(task: HostTask, { registry, executor }: HostEnvironment): Promise<PreparedNode> {
    const { node: id, stage: name, stageVersion, parameters, outlines, residency, lowestPrecision } = task;
    const stage = registry.get(name);
    if (stage.version !== stageVersion) {
      throw new InputError(
        "version_mismatch",
        `Cannot run version ${stageVersion} of stage "${name}": the version here is ${stage.version}`,
      );
    }
    const node = { id, stage, parameters: stage.parameters.parse(parameters) };
    const request = { node, inputs: outlines, residency, lowestPrecision };
    return await executor.prepare(request, { signal: this.#controller.signal });
  }

  async execute(
    request: Extract<HostRequest, { type: "run" }>,
    environment: HostEnvironment,
    waiting: Map<string, PreparedNode>,
  ): Promise<HostReply> {
    const { task, inputs, store: folder, spare: spareFolder, snapshots, saved, previews } = request;
    const store = folder === undefined ? undefined : environment.openStore(folder);
    const spare = spareFolder === undefined ? undefined : environment.openStore(spareFolder);
    const name = JSON.stringify(task);
    const prepared = waiting.get(name) ?? await this.prepare(task, environment);
    waiting.delete(name);
    const received: Record<string, IdentifiedArtifact> = {};
    for (const [port, input] of Object.entries(inputs)) received[port] = await receive(input, store, spare);
    const state = saved && await receive(saved, store, spare);
    const response = await prepared.execute(received, {
      signal: this.#controller.signal,
      store: store ?? new MemoryStore(),
      report: (event) => this.#send({ type: "report", id: this.#id, event }),
      previews,
      snapshots: snapshots && {
        policy: snapshots,
        saved: state,
        keep: async (made) => {
          this.#kept = Promise.withResolvers();
          this.#send({ type: "snapshot", id: this.#id, state: await give(made, store, spare) });
          await this.#kept.promise;
        },
      },
    });
    const outputs: Record<string, SentArtifact> = {};
    for (const [port, made] of Object.entries(response.outputs)) {
      outputs[port] = await give(made, store, spare);
    }
    const { runtime } = environment;
    const released = (runtime.memory?.().resident ?? 0) > KEPT_BYTES;
    if (released) await runtime.release?.();
    const { memory } = response;
    return { type: "done", id: this.#id, outputs, memory, released };
  }
}

async function receive(
  { id, artifact }: SentArtifact,
  store: ArtifactStore | undefined,
  spare: ArtifactStore | undefined,
): Promise<IdentifiedArtifact> {
  const found = artifact ?? (id === undefined ? undefined : await store?.get(id) ?? await spare?.get(id));
  if (found) return { id: id ?? "", artifact: found };
  throw new ArtifactError(`Cannot read artifact ${id}: the store does not have it`, {
    code: "artifact_not_found",
  });
}

/**
 * Sends an artifact. If the store is full and cannot take it, the stage goes on and the executor warns.
 */
async function give(
  made: MadeByStage,
  store: ArtifactStore | undefined,
  spare: ArtifactStore | undefined,
): Promise<SentArtifact> {
  if ("id" in made) return { id: made.id };
  const { artifact } = made;
  const id = await store?.put(artifact).catch(() => undefined) ?? await spare?.put(artifact);
  return id === undefined ? { artifact } : { id };
}

/**
 * Returns the artifact buffers that a reply transfers, each once. Only outputs are transferred. A snapshot is
 * copied because the stage continues with the arrays that it offered, including those of its inputs.
 */
function givenBuffers(reply: HostReply): ArrayBuffer[] {
  const outputs = reply.type === "done" ? Object.values(reply.outputs) : [];
  const tensors = outputs.flatMap(({ artifact }) => Object.values(artifact?.tensors ?? {}));
  return [...new Set(tensors.map(({ data }) => data.buffer))].filter((buffer) =>
    buffer instanceof ArrayBuffer
  );
}

function wrongVersion(version: number): InputError {
  return new InputError(
    "version_mismatch",
    `Cannot open a stage host with protocol version ${version}: its own version is ${PROTOCOL_VERSION}`,
  );
}
