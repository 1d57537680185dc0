// This module is browser compatible.

import { z } from "zod";
import { PermissionError } from "../../errors/permission_error.ts";
import { InputError, PixstageError } from "../../errors/pixstage_error.ts";
import { codeOfStatus } from "../../errors/http_error.ts";
import type { Artifact } from "../artifact.ts";
import { fetchFailure } from "../../network/fetch_failure.ts";
import { artifactId, decodeArtifact, encodeArtifact } from "../artifact_file.ts";
import { sha256Schema } from "./stage_record.ts";
import type { ArtifactStore, StoreReadOptions } from "./store.ts";

/** Options of {@linkcode HttpStore}. */
export interface HttpStoreOptions {
  /** The token to send as `Authorization: Bearer`, if the server requires one. */
  readonly token?: string | undefined;
  /** Sends requests. The default is the platform's `fetch`. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined;
  /** Stops requests when aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** Advice for a reply with status 401. */
export const KEY_WANTED =
  "it requires an API key: give it as the token, or on the command line in PIXSTAGE_TOKEN";

/** A server's store could not be reached, or it refused a request. */
export class StoreRequestError extends PixstageError {
  override name = "StoreRequestError";
  /** HTTP status of the answer, or 0 if there was none. */
  readonly status: number;

  /**
   * @param message What failed, and why.
   * @param status HTTP status of the answer.
   * @param options The underlying error.
   */
  constructor(message: string, status: number, options?: ErrorOptions) {
    super(codeOfStatus(status), message, { ...options, details: { status } });
    this.status = status;
  }
}

/**
 * The artifacts of a server: `GET`, `HEAD`, `PUT` and `DELETE` of `/v1/artifacts/ID`, with safetensors files
 * as bodies. Downloads are checked against their ids.
 */
export class HttpStore implements ArtifactStore {
  readonly #base: string;
  readonly #options: HttpStoreOptions;

  /**
   * @param url The server's address, e.g. `https://pictures.example`.
   * @param options How to reach the server.
   * @throws {InputError} if the address is not an HTTP URL.
   */
  constructor(url: string, options: HttpStoreOptions = {}) {
    if (!z.url({ protocol: /^https?$/ }).safeParse(url).success) {
      throw new InputError(
        "invalid_value",
        `Cannot use "${url}" as a store: its address must start with http: or https:`,
      );
    }
    this.#base = `${url.replace(/\/+$/, "")}/v1/artifacts/`;
    this.#options = options;
  }

  async get(id: string, { onDamage }: StoreReadOptions = {}): Promise<Artifact | undefined> {
    const response = await this.#send("GET", id);
    if (response.status === 404) return undefined;
    const bytes = await this.#read(response, id);
    const found = await artifactId(bytes);
    if (found === id) return decodeArtifact(bytes, this.#base + id);
    const reason = `its content has the SHA-256 ${found}`;
    onDamage?.({ what: "artifact", id, place: this.#base + id, reason });
    return undefined;
  }

  async put(artifact: Artifact): Promise<string> {
    const bytes = encodeArtifact(artifact);
    const id = await artifactId(bytes);
    if (!await this.has(id)) await this.#send("PUT", id, bytes);
    return id;
  }

  async has(id: string): Promise<boolean> {
    return (await this.#send("HEAD", id)).ok;
  }

  async delete(id: string): Promise<void> {
    await this.#send("DELETE", id);
  }

  /** Reads an artifact to its end. */
  async #read(response: Response, id: string): Promise<Uint8Array> {
    try {
      return await response.bytes();
    } catch (cause) {
      this.#options.signal?.throwIfAborted();
      throw new StoreRequestError(`Cannot read ${this.#base}${id}: ${fetchFailure(cause)}`, 0, {
        cause,
      });
    }
  }

  /** Sends a request. Throws unless the answer is successful or "not found". Unread bodies are cancelled. */
  async #send(method: string, id: string, body?: Uint8Array<ArrayBuffer>): Promise<Response> {
    const { token, fetch = globalThis.fetch, signal } = this.#options;
    const url = this.#base + sha256Schema.parse(id);
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body ? { "content-type": "application/octet-stream" } : {}),
    };
    const request = new Request(url, {
      method,
      headers,
      ...(body ? { body } : {}),
      ...(signal ? { signal } : {}),
    });
    let response: Response;
    try {
      response = await fetch(request);
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof PermissionError) throw cause;
      const { origin } = new URL(url);
      throw new StoreRequestError(
        `Cannot reach ${origin}: ${fetchFailure(cause)}; is its server running?`,
        0,
        { cause },
      );
    }
    if (method !== "GET" || !response.ok) await response.body?.cancel();
    if (response.ok || response.status === 404 && method !== "PUT") return response;
    const { status, statusText } = response;
    const reason = status === 401 ? KEY_WANTED : `the server answered ${status} ${statusText}`.trimEnd();
    throw new StoreRequestError(`Cannot ${method} ${url}: ${reason}`, status);
  }
}
