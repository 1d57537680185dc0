// This module is browser compatible.

/**
 * Stages on another machine: its server prepares them, takes the artifacts, runs the stage, and reports its
 * progress.
 *
 * @module
 */

import { deserializeError, serializedErrorSchema } from "../../errors/serialized_error.ts";
import { codeOfStatus } from "../../errors/http_error.ts";
import { ERROR_CODES, type ErrorCode } from "../../errors/error_codes.ts";
import { InputError, PixstageError, type PixstageErrorOptions } from "../../errors/pixstage_error.ts";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { z } from "zod";
import type { Artifact } from "../../artifacts/artifact.ts";
import { asJson } from "../../artifacts/canonical_json.ts";
import { fetchFailure } from "../../artifacts/fetch_failure.ts";
import { patientFetch } from "../../artifacts/patient_fetch.ts";
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

/** How a server is reached. */
export interface HttpExecutorOptions {
  /** The server's API key. */
  readonly token?: string | undefined;
  /** Sends requests. Default is the platform's `fetch`. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined;
  /**
   * Milliseconds without an answer or a sign of life after which a request is given up. Servers send one
   * every 15 seconds while a stage runs, and take 60 at most to prepare one.
   *
   * @default {75000}
   */
  readonly silenceMs?: number | undefined;
  /**
   * How often a request is sent at most where nothing comes back or the server is busy.
   *
   * @default {3}
   */
  readonly tries?: number | undefined;
  /**
   * Takes a sentence about each failure that another try follows. They are warnings of the stage otherwise.
   */
  readonly onRetry?: ((message: string) => void) | undefined;
}

/** A server could not be reached, or did not run a stage. */
export class RemoteStageError extends PixstageError {
  override name = "RemoteStageError";
  /** The status of the answer; 0 where there was none, or where it broke off. */
  readonly status: number;

  /**
   * @param message What failed, and why.
   * @param status The status of the answer.
   * @param options The server's own code, if it gave one, and the error behind this one.
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

/**
 * The server's errors are those of its stages, as JSON; a proxy before it may answer with a message alone.
 */
const errorSchema = z.object({
  error: z.union([serializedErrorSchema, z.object({ message: z.string() })]),
});
const resultSchema = z.object({ outputs: z.record(z.string(), sha256Schema) });

/** Sends a request to a server, and again where it must. */
type Send = (request: Request) => Promise<Response>;

/**
 * Runs stages on a server: prepares them there, puts the inputs that it lacks, posts the stage to
 * `/v1/stages/NAME`, passes on its reports and snapshots, and gets its outputs. The server looks the model up
 * by its name; cancelling closes the connection, and the server stops at the next step.
 */
export class HttpExecutor implements Executor {
  readonly name: string;
  readonly isRemote = true;
  #base: string;
  #options: HttpExecutorOptions;

  /**
   * @param url The server's address, which graphs call the executor by: `http://denoiser:8000`.
   * @param options How it is reached.
   * @throws {InputError} if that is no HTTP address.
   */
  constructor(url: string, options: HttpExecutorOptions = {}) {
    if (!z.url({ protocol: /^https?$/ }).safeParse(url).success) {
      throw new InputError(
        "invalid_value",
        `Cannot run stages on a server as its address must be HTTP: current value is "${url}"`,
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
          ? `gave ${artifact.kind}`
          : `does not have the artifact ${id} that it names`;
        throw new RemoteStageError(
          `Cannot use output "${port}" of "${node.stage.name}" as it must be ${kind}: ${this.#base} ${found}`,
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
        const told = runEventSchema.safeParse(content).data;
        if (told?.type === "stage:end") memory = told.memory;
        if (told?.type === "checkpoint" && snapshots) {
          const state = await this.#fetchSnapshot(told.id, store, report, signal);
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
   * A snapshot of the stage. The next one may have taken its place already, and a run does not fail for want
   * of one: then there is none.
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
      report({ type: "warning", message: `A snapshot is not kept: ${error.message}` });
      return undefined;
    }
  }

  /** Sends the requests of a node; tells of each that is sent again. */
  #sender(warn: (message: string) => void): Send {
    const { fetch, silenceMs = 75_000, tries = 3, onRetry = warn } = this.#options;
    return patientFetch({ fetch, silenceMs, tries, onRetry });
  }

  /**
   * @param path What is posted to, behind `/v1/stages/`.
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

  /** The server's store may know what it had done when it was lost: it goes on from there. */
  #brokeOff(stage: string, cause?: unknown): RemoteStageError {
    const message = `Cannot run "${stage}" as ${this.#base} broke off: once it is back, the same run goes on`;
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

const WEB_PAGE = " with a web page, so that another program or a proxy may be at this address";

function isWebPage(headers: Headers | undefined): boolean {
  return /^(?:text\/html|application\/xhtml)/i.test(headers?.get("content-type") ?? "");
}

/** The value that a text says; undefined where it is no JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The events of a stream. */
async function* serverEvents(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<{ readonly event: string; readonly data: string }> {
  const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { event = "message", data } of events) yield { event, data };
}
