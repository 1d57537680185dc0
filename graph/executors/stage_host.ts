// This module is browser compatible.

import type { ArtifactStore, RunStore } from "../../artifacts/store/store.ts";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import type { Models } from "../../models/models.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { StageRegistry } from "../../stages/registry.ts";
import type { IdentifiedArtifact, MadeByStage } from "./executor.ts";
import { InlineExecutor } from "./inline.ts";
import {
  type HostChannel,
  type HostReply,
  type HostRequest,
  hostRequestSchema,
  type HostSettings,
  PROTOCOL_VERSION,
  type SentArtifact,
} from "./protocol.ts";

/** What stages use in a stage host. */
export interface HostPlace {
  /** The stages. */
  readonly registry: StageRegistry;
  /** Opens checkpoints by reference. */
  readonly models: Models;
  /** Opens ONNX graphs. */
  readonly runtime: Runtime;
  /** The store that both sides open, where there is one. */
  readonly store?: RunStore | undefined;
}

/** An artifact that a stage host was told to use, and that is neither in the message nor in the store. */
export class MissingArtifactError extends Error {
  override name = "MissingArtifactError";
}

/**
 * Runs stages for an executor at the other end of a channel, until the channel's owner ends it.
 *
 * @param channel The way to the executor.
 * @param openPlace Makes the place that stages work in.
 */
export function hostStages(
  channel: HostChannel<HostReply>,
  openPlace: (settings: HostSettings) => Promise<HostPlace>,
): void {
  const send = (reply: HostReply): void => channel.send(reply, sentBuffers(reply));
  const runs = new Map<string, HostedRun>();
  let place: Promise<HostPlace> | undefined;
  const handle = async (request: HostRequest): Promise<void> => {
    switch (request.type) {
      case "open":
        if (request.version !== PROTOCOL_VERSION) throw wrongVersion(request.version);
        place = openPlace(request.settings);
        await place;
        return send({ type: "ready", version: PROTOCOL_VERSION });
      case "run": {
        if (!place) throw new Error("Cannot run a stage before the host is opened");
        const run = new HostedRun(request, send);
        runs.set(request.run, run);
        try {
          return send(await run.execute(await place));
        } finally {
          runs.delete(request.run);
        }
      }
      case "cancel":
        return runs.get(request.run)?.cancel();
      case "kept":
        return runs.get(request.run)?.kept();
    }
  };
  channel.onMessage = (message) => {
    const parsed = hostRequestSchema.safeParse(message);
    const run = parsed.data?.type === "run" ? { run: parsed.data.run } : {};
    const handled = parsed.success ? handle(parsed.data) : Promise.reject(parsed.error);
    handled.catch((error) => send({ type: "failed", ...run, error: describeError(error) }));
  };
}

/** One stage that runs here for somebody else. */
class HostedRun {
  #request: Extract<HostRequest, { type: "run" }>;
  #send: (reply: HostReply) => void;
  #controller = new AbortController();
  #kept = Promise.withResolvers<void>();

  constructor(request: Extract<HostRequest, { type: "run" }>, send: (reply: HostReply) => void) {
    this.#request = request;
    this.#send = send;
  }

  cancel(): void {
    this.#controller.abort(new DOMException("The run was stopped", "AbortError"));
  }

  kept(): void {
    this.#kept.resolve();
  }

  async execute({ registry, models, runtime, store }: HostPlace): Promise<HostReply> {
    const { run, node, stage: name, stageVersion, parameters, inputs, checkpoints, saved, previews } =
      this.#request;
    const stage = registry.get(name);
    if (stage.version !== stageVersion) {
      throw new RangeError(
        `Cannot run stage "${name}" as its version must be ${stage.version} here: current value is ${stageVersion}`,
      );
    }
    const received: Record<string, IdentifiedArtifact> = {};
    for (const [port, input] of Object.entries(inputs)) received[port] = await receive(input, store);
    const state = saved && await receive(saved, store);
    const response = await new InlineExecutor({ models, runtime }).execute({
      node: { id: node, stage, parameters: stage.parameters.parse(parameters), inputs: {} },
      inputs: received,
    }, {
      signal: this.#controller.signal,
      store: store ?? new MemoryStore(),
      report: (event) => this.#send({ type: "report", run, event }),
      previews,
      checkpoint: checkpoints && {
        policy: checkpoints,
        saved: state,
        keep: async (made) => {
          this.#kept = Promise.withResolvers();
          this.#send({ type: "checkpoint", run, state: await give(made, store) });
          await this.#kept.promise;
        },
      },
    });
    const outputs: Record<string, SentArtifact> = {};
    for (const [port, made] of Object.entries(response.outputs)) outputs[port] = await give(made, store);
    const { memory } = response;
    return { type: "done", run, outputs, ...(memory ? { memory } : {}) };
  }
}

async function receive(
  { id, artifact }: SentArtifact,
  store: ArtifactStore | undefined,
): Promise<IdentifiedArtifact> {
  const found = artifact ?? (id === undefined ? undefined : await store?.get(id));
  if (found) return { id: id ?? "", artifact: found };
  throw new MissingArtifactError(`Cannot read artifact ${id} as the store does not have it`);
}

async function give(made: MadeByStage, store: ArtifactStore | undefined): Promise<SentArtifact> {
  if ("id" in made || !store) return made as SentArtifact;
  return { id: await store.put(made.artifact) };
}

/**
 * The buffers to transfer with a reply, each once. Only outputs are transferred. A snapshot is copied, as the stage goes
 * on with the arrays that it offered, among them those of its inputs.
 */
function sentBuffers(reply: HostReply): ArrayBuffer[] {
  const outputs = reply.type === "done" ? Object.values(reply.outputs) : [];
  const tensors = outputs.flatMap(({ artifact }) => Object.values(artifact?.tensors ?? {}));
  return [...new Set(tensors.map(({ data }) => data.buffer))].filter((buffer) =>
    buffer instanceof ArrayBuffer
  );
}

/** What of an error can be sent. */
function describeError(error: unknown): { name: string; message: string; stack?: string } {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack } = error;
  return { name, message, ...(stack === undefined ? {} : { stack }) };
}

function wrongVersion(version: number): RangeError {
  return new RangeError(
    `Cannot open a stage host as the protocol's version must be ${PROTOCOL_VERSION}: current value is ${version}`,
  );
}
