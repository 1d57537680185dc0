// This module is browser compatible.

/**
 * Stages on another machine: the server there takes the artifacts, runs the stage, and tells of its progress.
 *
 * @module
 */

import { z } from "zod";
import { fetchFailure } from "../../artifacts/fetch_failure.ts";
import { HttpStore, KEY_WANTED } from "../../artifacts/store/http_store.ts";
import { sha256Schema } from "../../artifacts/store/stage_record.ts";
import { runEventSchema, type StageMemory } from "../events.ts";
import { stageReportSchema } from "../../stages/stage_report.ts";
import { asJson } from "../node_key.ts";
import type { ExecuteOptions, Executor, MadeByStage, StageRequest, StageResponse } from "./executor.ts";
import { serverSentEvents } from "./server_sent_events.ts";

/** How a server is reached. */
export interface HttpExecutorOptions {
  /** The server's API key. */
  readonly token?: string | undefined;
  /** Sends requests. Default is the platform's `fetch`. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined;
}

/** A server could not be reached, or did not run a stage. */
export class RemoteStageError extends Error {
  override name = "RemoteStageError";
  /** The status of the answer; 0 where there was none, or where it broke off. */
  readonly status: number;

  /**
   * @param message What could not be done, and why.
   * @param status The status of the answer.
   * @param options The error behind this one.
   */
  constructor(message: string, status: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

const errorSchema = z.object({ error: z.object({ message: z.string() }) });
const resultSchema = z.object({ outputs: z.record(z.string(), sha256Schema) });

/**
 * Runs stages on a server: puts the inputs that it does not have, posts the stage to `/v1/stages/NAME`, passes on what it
 * reports, and gets what it made. The server looks the model up by its name; cancelling closes the connection, and the
 * server stops at the next step.
 */
export class HttpExecutor implements Executor {
  readonly name: string;
  #base: string;
  #options: HttpExecutorOptions;

  /**
   * @param url The server's address, which graphs call the executor by: `http://denoiser:8000`.
   * @param options How it is reached.
   * @throws {SyntaxError} if that is no HTTP address.
   */
  constructor(url: string, options: HttpExecutorOptions = {}) {
    if (!z.url({ protocol: /^https?$/ }).safeParse(url).success) {
      throw new SyntaxError(
        `Cannot run stages on a server as its address must be HTTP: current value is "${url}"`,
      );
    }
    this.name = url;
    this.#base = url.replace(/\/+$/, "");
    this.#options = options;
  }

  /** Runs one node on the server. */
  async execute({ node, inputs }: StageRequest, options: ExecuteOptions): Promise<StageResponse> {
    const { signal } = options;
    signal.throwIfAborted();
    const store = new HttpStore(this.#base, { ...this.#options, signal });
    for (const { artifact } of Object.values(inputs)) await store.put(artifact);
    const ids = Object.fromEntries(Object.entries(inputs).map(([port, { id }]) => [port, id]));
    const { outputs, memory } = await this.#run(node, ids, options);
    const made: Record<string, MadeByStage> = {};
    for (const [port, id] of Object.entries(outputs)) {
      const artifact = await store.get(id);
      if (!artifact) throw new RemoteStageError(`Cannot get artifact ${id} as ${this.#base} lost it`, 404);
      made[port] = { artifact };
    }
    return { outputs: made, ...(memory ? { memory } : {}) };
  }

  async #run(
    { stage, parameters }: StageRequest["node"],
    inputs: Readonly<Record<string, string>>,
    { signal, report }: ExecuteOptions,
  ): Promise<{ outputs: Record<string, string>; memory: StageMemory | undefined }> {
    const body = JSON.stringify({ version: stage.version, parameters: asJson(parameters), inputs });
    const response = await this.#post(`/v1/stages/${encodeURIComponent(stage.name)}`, body, signal);
    let memory: StageMemory | undefined;
    try {
      for await (const { event, data } of serverSentEvents(response.body!)) {
        const content: unknown = JSON.parse(data);
        if (event === "result") return { ...resultSchema.parse(content), memory };
        if (event === "error") throw this.#refusal(stage.name, content, 500);
        const told = runEventSchema.safeParse(content).data;
        if (told?.type === "stage:end") memory = told.memory;
        const reported = stageReportSchema.safeParse(content).data;
        if (reported) report(reported);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RemoteStageError) throw error;
      throw this.#brokeOff(stage.name, error);
    }
    throw this.#brokeOff(stage.name);
  }

  async #post(path: string, body: string, signal: AbortSignal): Promise<Response> {
    const { token, fetch = globalThis.fetch } = this.#options;
    const headers = {
      accept: "text/event-stream",
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const request = new Request(this.#base + path, { method: "POST", headers, body, signal });
    let response: Response;
    try {
      response = await fetch(request);
    } catch (cause) {
      signal.throwIfAborted();
      throw new RemoteStageError(
        `Cannot reach ${this.#base}: ${fetchFailure(cause)}; is its server running?`,
        0,
        {
          cause,
        },
      );
    }
    if (response.ok && response.body) return response;
    const content: unknown = await response.json().catch(() => undefined);
    throw this.#refusal(path.slice(path.lastIndexOf("/") + 1), content, response.status);
  }

  /** What the server had done when it was lost, its store may know: it goes on from there. */
  #brokeOff(stage: string, cause?: unknown): RemoteStageError {
    const message = `Cannot run "${stage}" as ${this.#base} broke off: once it is back, the same run goes on`;
    return new RemoteStageError(message, 0, cause === undefined ? {} : { cause });
  }

  #refusal(stage: string, content: unknown, status: number): RemoteStageError {
    const told = status === 401
      ? KEY_WANTED
      : errorSchema.safeParse(content).data?.error.message ?? `it answered ${status}`;
    return new RemoteStageError(`Cannot run "${stage}" on ${this.#base}: ${told}`, status);
  }
}
