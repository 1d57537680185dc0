// This module is browser compatible.

/**
 * The executor's side of the protocol: sends a stage to a host, passes on what it reports, and ends it when it does not
 * listen.
 *
 * @module
 */

import { deserializeError } from "../../errors/serialized_error.ts";
import type { ExecuteOptions, MadeByStage, StageRequest, StageResponse } from "./executor.ts";
import {
  type HostChannel,
  type HostReply,
  hostReplySchema,
  type HostRequest,
  type HostSettings,
  PROTOCOL_VERSION,
  type SentArtifact,
} from "./protocol.ts";
import { asJson } from "../node_key.ts";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { type HostEnd, StageProcessError } from "./stage_process_error.ts";

/** A stage host that runs somewhere. */
export interface HostLink extends HostChannel<HostRequest> {
  /** Settles when the host is gone. */
  readonly ended: Promise<HostEnd>;
  /** Lets a host that has nothing to do end; settles when it is gone. */
  close(): Promise<void>;
  /** Ends the host, whatever it does; settles when it is gone. */
  kill(): Promise<void>;
}

/** How artifacts travel between an executor and its host. */
export interface ArtifactCarrier {
  /** Makes an artifact ready to be sent. */
  send(artifact: StageRequest["inputs"][string]): Promise<SentArtifact>;
  /** Takes an artifact that arrived. */
  receive(sent: SentArtifact): Promise<MadeByStage>;
}

/** What a stage that runs in a host needs. */
export interface HostRunOptions extends ExecuteOptions {
  /** The host. */
  readonly link: HostLink;
  /** What the host is told of the place that it works in. */
  readonly settings: HostSettings;
  /** How artifacts travel. */
  readonly carrier: ArtifactCarrier;
  /** Milliseconds that a stage has to end by itself once it is cancelled. */
  readonly graceMs: number;
}

/**
 * Runs a stage in a host, and ends the host.
 *
 * @param request The node and its inputs.
 * @param options What it needs.
 * @returns What the stage gave.
 * @throws {PixstageError} what the stage throws, with the same code, name and message.
 * @throws {StageProcessError} if the host dies.
 * @throws the signal's reason.
 */
export async function runInHost(request: StageRequest, options: HostRunOptions): Promise<StageResponse> {
  const { signal, link } = options;
  const run = new HostClientRun(request, options);
  let closed = false;
  try {
    const response = await run.execute();
    await link.close();
    closed = true;
    return response;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    if (!closed) await link.kill();
  }
}

/** One stage that runs elsewhere. */
class HostClientRun {
  #request: StageRequest;
  #options: HostRunOptions;
  #id = crypto.randomUUID();
  #ready = Promise.withResolvers<void>();
  #done = Promise.withResolvers<StageResponse>();

  constructor(request: StageRequest, options: HostRunOptions) {
    this.#request = request;
    this.#options = options;
    // Whoever waits for one of the two hears of a failure through the other one as well.
    for (const { promise } of [this.#ready, this.#done]) promise.catch(() => {});
  }

  async execute(): Promise<StageResponse> {
    const { link, signal, settings } = this.#options;
    const { node } = this.#request;
    link.onMessage = (message) => {
      this.#take(message).catch((error) => this.#fail(error));
    };
    link.ended.then((end) => this.#fail(new StageProcessError(node.stage.name, end)));
    const stop = (): void => this.#stop();
    signal.addEventListener("abort", stop, { once: true });
    try {
      signal.throwIfAborted();
      link.send({ type: "open", version: PROTOCOL_VERSION, settings });
      await this.#ready.promise;
      link.send(await this.#runMessage());
      return await this.#done.promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  async #runMessage(): Promise<HostRequest> {
    const { checkpoint, carrier, previews } = this.#options;
    const { node, inputs } = this.#request;
    const sent: Record<string, SentArtifact> = {};
    for (const [port, input] of Object.entries(inputs)) sent[port] = await carrier.send(input);
    return {
      type: "run",
      run: this.#id,
      node: node.id,
      stage: node.stage.name,
      stageVersion: node.stage.version,
      parameters: asJson(node.parameters) as JsonObject,
      inputs: sent,
      ...(previews ? { previews } : {}),
      ...(checkpoint ? { checkpoints: checkpoint.policy } : {}),
      ...(checkpoint?.saved ? { saved: await carrier.send(checkpoint.saved) } : {}),
    };
  }

  async #take(message: unknown): Promise<void> {
    const { report, checkpoint, carrier, link } = this.#options;
    const reply: HostReply = hostReplySchema.parse(message);
    switch (reply.type) {
      case "ready":
        return this.#ready.resolve();
      case "report":
        return report(reply.event);
      case "checkpoint":
        await checkpoint?.keep(await carrier.receive(reply.state));
        return link.send({ type: "kept", run: this.#id });
      case "done": {
        const outputs: Record<string, MadeByStage> = {};
        for (const [port, sent] of Object.entries(reply.outputs)) outputs[port] = await carrier.receive(sent);
        return this.#done.resolve({ outputs, ...(reply.memory ? { memory: reply.memory } : {}) });
      }
      case "failed":
        return this.#fail(deserializeError(reply.error));
    }
  }

  /** Asks the stage to stop, and gives up waiting when it does not in time: it may be in the midst of a long step. */
  #stop(): void {
    const { link, graceMs, signal } = this.#options;
    link.send({ type: "cancel", run: this.#id });
    const timer = setTimeout(() => this.#fail(signal.reason), graceMs);
    this.#done.promise.catch(() => {}).finally(() => clearTimeout(timer));
  }

  #fail(error: unknown): void {
    this.#ready.reject(error);
    this.#done.reject(error);
  }
}
