// This module is browser compatible.

/**
 * Runs stages on another machine. Its server prepares them, receives the artifacts, runs the stage, and
 * reports progress.
 *
 * @module
 */

import { PermissionError } from "../../errors/permission_error.ts";
import { deserializeError, serializedErrorSchema } from "../../errors/serialized_error.ts";
import { codeOfStatus } from "../../errors/http_error.ts";
import { ERROR_CODES, type ErrorCode } from "../../errors/error_codes.ts";
import { InputError, PixstageError, type PixstageErrorOptions } from "../../errors/pixstage_error.ts";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { z } from "zod";
import type { Artifact } from "../../artifacts/artifact.ts";
import { asJson } from "../../artifacts/canonical_json.ts";
import { fetchFailure } from "../../network/fetch_failure.ts";
import { retryingFetch } from "../../network/retrying_fetch.ts";
import { HttpStore, KEY_WANTED, StoreRequestError } from "../../artifacts/store/http_store.ts";
import { sha256Schema } from "../../artifacts/store/stage_record.ts";
import { stageReportSchema } from "../../stages/stage_report.ts";
import { runEventSchema, type StageMemory } from "../events.ts";
import {
  type ExecuteOptions,
  type Executor,
  type IdentifiedArtifact,
  type MadeByStage,
  preparationSchema,
  type PreparedNode,
  type PrepareRequest,
  type StageResponse,
} from "./executor.ts";

/** Options of {@linkcode HttpExecutor}. */
export interface HttpExecutorOptions {
  /** The server's API key. */
  readonly token?: string | undefined;
  /** Sends requests. The default is the platform's `fetch`. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined;
  /**
   * Milliseconds without an answer or a sign of life after which a request is abandoned. Servers send one
   * every 15 seconds while a stage runs, and need at most 60 to prepare one.
   *
   * @default {75000}
   */
  readonly silenceMs?: number | undefined;
  /**
   * Maximum number of attempts per request if the server is busy or does not answer.
   *
   * @default {3}
   */
  readonly tries?: number | undefined;
  /**
   * Called with a sentence about each failure that is retried. By default these are warnings of the stage.
   */
  readonly onRetry?: ((message: string) => void) | undefined;
}

/** A server could not be reached, or it did not run a stage. */
export class RemoteStageError extends PixstageError {
  override name = "RemoteStageError";
  /** HTTP status of the answer, or 0 if there was none or if it broke off. */
  readonly status: number;

  /**
   * @param message What failed, and why.
   * @param status HTTP status of the answer.
   * @param options The server's own error code, if it sent one, and the underlying error.
   */
  constructor(
    message: string,
    status: number,
    { code = codeOfStatus(status), ...options }: PixstageErrorOptions & {
      readonly code?: ErrorCode | undefined;
    } = {},
  ) {
    super(code, message, options);
    this.status = status;
  }
}

/** The server sends a stage's error as JSON. A proxy in front of it may send only a message. */
const errorSchema = z.object({
  error: z.union([serializedErrorSchema, z.object({ message: z.string() })]),
});
const resultSchema = z.object({ outputs: z.record(z.string(), sha256Schema) });

/** Sends a request to a server, and retries it if needed. */
type Send = (request: Request) => Promise<Response>;

/**
 * Runs stages on a server: prepares them there, uploads the inputs that it lacks, posts the stage to
 * `/v1/stages/NAME`, passes on its reports and snapshots, and downloads its outputs. The server looks up the
 * model by its name. Cancelling closes the connection, and the server stops at the next step.
 */
export class HttpExecutor implements Executor {
  readonly name: string;
  readonly isRemote = true;
  #base: string;
  #options: HttpExecutorOptions;

  /**
   * @param url The server's address, by which graphs refer to the executor, e.g. `http://denoiser:8000`.
   * @param options How to reach the server.
   * @throws {InputError} if the address is not an HTTP URL.
   */
  constructor(url: string, options: HttpExecutorOptions = {}) {
    if (!z.url({ protocol: /^https?$/ }).safeParse(url).success) {
      throw new InputError(
        "invalid_value",
        `Cannot run stages on "${url}": a server's address must start with http: or https:`,
      );
    }
    this.name = url;
    this.#base = url.replace(/\/+$/, "");
    this.#options = options;
  }

  /** Prepares a node on the server. */
  async prepare(
    { node, inputs, residency, lowestPrecision }: PrepareRequest,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<PreparedNode> {
    const { stage, parameters } = node;
    const body = {
      version: stage.version,
      parameters: asJson(parameters),
      inputs,
      residency,
      lowestPrecision,
    };
    const retries: string[] = [];
    const send = this.#sender((message) => retries.push(message));
    const response = await this.#post(`${stage.name}/prepare`, body, send, signal);
    const answer = await this.#read(response, stage.name, signal);
    const content = preparationSchema.safeParse(jsonOf(answer));
    if (!content.success) throw this.#unreadable(stage.name, response, content.error);
    return {
      ...content.data,
      warnings: [...retries, ...content.data.warnings],
      execute: (artifacts, options) => this.#execute(node, artifacts, options),
    };
  }

  async #execute(
    node: PrepareRequest["node"],
    inputs: Readonly<Record<string, IdentifiedArtifact>>,
    options: ExecuteOptions,
  ): Promise<StageResponse> {
    const { signal, snapshots, report } = options;
    signal.throwIfAborted();
    const send = this.#sender((message) => report({ type: "warning", message }));
    const store = new HttpStore(this.#base, { token: this.#options.token, fetch: send, signal });
    const given = [...Object.values(inputs), ...(snapshots?.saved ? [snapshots.saved] : [])];
    for (const { artifact } of given) await store.put(artifact);
    const { outputs, memory } = await this.#run(node, inputs, store, send, options);
    const made: Record<string, MadeByStage> = {};
    for (const [port, { kind }] of Object.entries(node.stage.outputs)) {
      const id = outputs[port];
      const artifact = id === undefined ? undefined : await store.get(id);
      if (artifact?.kind !== kind) {
        const found = id === undefined
          ? "names no artifact for it"
          : artifact
          ? `returned ${artifact.kind}`
          : `does not have the artifact ${id} that it names`;
        throw new RemoteStageError(
          `Cannot use output "${port}" of "${node.stage.name}", which must be ${kind}: ${this.#base} ${found}`,
          502,
        );
      }
      made[port] = { artifact };
    }
    return { outputs: made, memory };
  }

  async #run(
    { stage, parameters }: PrepareRequest["node"],
    inputs: Readonly<Record<string, IdentifiedArtifact>>,
    store: HttpStore,
    send: Send,
    { signal, report, snapshots, previews }: ExecuteOptions,
  ): Promise<{ outputs: Record<string, string>; memory: StageMemory | undefined }> {
    const body = {
      version: stage.version,
      parameters: asJson(parameters),
      inputs: Object.fromEntries(Object.entries(inputs).map(([port, { id }]) => [port, id])),
      previews: previews ?? false,
      snapshots: snapshots?.policy,
      saved: snapshots?.saved?.id,
    };
    const response = await this.#post(stage.name, body, send, signal);
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
      await response.body?.cancel();
      throw this.#unreadable(stage.name, response);
    }
    let memory: StageMemory | undefined;
    try {
      for await (const { event, data } of serverEvents(response.body!)) {
        const content = jsonOf(data);
        if (event === "result") {
          const result = resultSchema.safeParse(content);
          if (!result.success) throw this.#unreadable(stage.name, response, result.error);
          return { ...result.data, memory };
        }
        if (event === "error") throw this.#refusal(stage.name, content, { status: 500 });
        const runEvent = runEventSchema.safeParse(content).data;
        if (runEvent?.type === "stage:end") memory = runEvent.memory;
        if (runEvent?.type === "checkpoint" && snapshots) {
          const state = await this.#fetchSnapshot(runEvent.id, store, report, signal);
          if (state) await snapshots.keep({ artifact: state });
        }
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

  /**
   * Downloads a snapshot of the stage. Returns `undefined` with a warning if the next snapshot has already
   * replaced it, because a missing snapshot must not fail the run.
   */
  async #fetchSnapshot(
    id: string,
    store: HttpStore,
    report: ExecuteOptions["report"],
    signal: AbortSignal,
  ): Promise<Artifact | undefined> {
    try {
      return await store.get(id);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof StoreRequestError)) throw error;
      report({ type: "warning", message: `A snapshot was not kept: ${error.message}` });
      return undefined;
    }
  }

  /** Returns a function that sends the requests of a node and reports each retry. */
  #sender(warn: (message: string) => void): Send {
    const { fetch, silenceMs = 75_000, tries = 3, onRetry = warn } = this.#options;
    return retryingFetch({ fetch, silenceMs, tries, onRetry });
  }

  /**
   * @param path The path to post to, after `/v1/stages/`.
   * @param body The body, as JSON.
   * @param send Sends the request.
   * @param signal Stops the request.
   */
  async #post(path: string, body: unknown, send: Send, signal: AbortSignal): Promise<Response> {
    const { token } = this.#options;
    const headers = {
      accept: "text/event-stream, application/json",
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const url = `${this.#base}/v1/stages/${path.split("/").map(encodeURIComponent).join("/")}`;
    let response: Response;
    try {
      response = await send(
        new Request(url, { method: "POST", headers, body: JSON.stringify(body), signal }),
      );
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof PermissionError) throw cause;
      throw new RemoteStageError(
        `Cannot reach ${this.#base}: ${fetchFailure(cause)}; is its server running?`,
        0,
        { cause },
      );
    }
    if (response.ok && response.body) return response;
    const stage = path.split("/")[0]!;
    throw this.#refusal(stage, jsonOf(await this.#read(response, stage, signal)), response);
  }

  /** Reads an answer to its end. */
  async #read(response: Response, stage: string, signal: AbortSignal): Promise<string> {
    try {
      return await response.text();
    } catch (cause) {
      signal.throwIfAborted();
      throw this.#brokeOff(stage, cause);
    }
  }

  /**
   * Returns the error for a lost connection. The server's store may have the work done so far, from which the
   * same run continues.
   */
  #brokeOff(stage: string, cause?: unknown): RemoteStageError {
    const message =
      `Cannot run "${stage}": the connection to ${this.#base} broke off. Once it is back, the same run continues`;
    return new RemoteStageError(message, 0, cause === undefined ? {} : { cause });
  }

  #refusal(
    stage: string,
    content: unknown,
    { status, headers }: Pick<Response, "status"> & { readonly headers?: Headers },
  ): RemoteStageError {
    const where = `Cannot run "${stage}" on ${this.#base}`;
    if (status === 401) return new RemoteStageError(`${where}: ${KEY_WANTED}`, status);
    const answer = errorSchema.safeParse(content).data?.error;
    const error = answer && "code" in answer ? deserializeError(answer) : undefined;
    const { code, details } = error instanceof PixstageError ? error : {};
    const answered = code === undefined ? status : ERROR_CODES[code].status;
    const reason = answer?.message ?? `the answer is ${status}${isWebPage(headers) ? WEB_PAGE : ""}`;
    const wait = headers?.get("retry-after") ?? null;
    const later = wait === null
      ? ""
      : `. Try again ${/^\d+$/.test(wait) ? `in ${wait} seconds` : `after ${wait}`}`;
    return new RemoteStageError(`${where}: ${reason}${later}`, answered, { code, details, cause: error });
  }

  #unreadable(stage: string, { status, headers }: Response, cause?: Error): RemoteStageError {
    const found = isWebPage(headers)
      ? `the answer is ${status}${WEB_PAGE}`
      : "its answer is not that of a pixstage server of this version";
    return new RemoteStageError(`Cannot run "${stage}" on ${this.#base}: ${found}`, status, { cause });
  }
}

const WEB_PAGE = " with a web page, so this may be the address of another program or a proxy";

function isWebPage(headers: Headers | undefined): boolean {
  return /^(?:text\/html|application\/xhtml)/i.test(headers?.get("content-type") ?? "");
}

/** Returns the JSON value of a text, or `undefined` if the text is not JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Yields the events of a stream. */
async function* serverEvents(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<{ readonly event: string; readonly data: string }> {
  const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { event = "message", data } of events) yield { event, data };
}
