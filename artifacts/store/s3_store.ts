// This module is browser compatible.

import { type ListObject, S3mini, S3ServiceError } from "s3mini";
import type { Artifact, JsonObject } from "../artifact.ts";
import { artifactId, decodeArtifact, encodeArtifact, outlineOfFile } from "../artifact_file.ts";
import { toBase64 } from "../base64.ts";
import { asJson } from "../canonical_json.ts";
import { fetchFailure } from "../../network/fetch_failure.ts";
import type { ArtifactOutline } from "../outline.ts";
import { retryingFetch } from "../../network/retrying_fetch.ts";
import { readSafetensorsHeader } from "../safetensors_header.ts";
import { StoreRequestError } from "./http_store.ts";
import { openRecord, sealRecord } from "./sealed_record.ts";
import { sha256Schema, type StageRecord, stageRecordSchema } from "./stage_record.ts";
import type { RunStore, StoreDamage, StoredArtifact, StoreReadOptions } from "./store.ts";

/** Location and credentials of a store in S3. */
export interface S3StoreOptions {
  /** The server, e.g. `https://s3.eu-central-1.amazonaws.com`. */
  readonly endpoint: string;
  readonly bucket: string;
  /** Prefix of the objects' keys: empty, or a path that ends with a slash. */
  readonly prefix?: string | undefined;
  /** @default {"auto"} */
  readonly region?: string | undefined;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Sends requests. The default is the platform's `fetch`. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined;
  /** Called with a sentence about each failure that is retried. */
  readonly onRetry?: ((message: string) => void) | undefined;
  /**
   * Milliseconds without an answer, or without its next chunk, after which a request is sent again.
   *
   * @default {30000}
   */
  readonly silenceMs?: number | undefined;
}

/** Prefix and suffix of the keys of each kind of object. */
const FOLDERS = {
  artifacts: ["artifacts/", ".safetensors"],
  results: ["results/", ".json"],
  makers: ["makers/", ".json"],
  pictures: ["pictures/", ""],
} as const;
type Folder = keyof typeof FOLDERS;

/**
 * Size of the parts in which larger artifacts are sent. S3 requires parts of at least 5 MiB, and accepts
 * 10,000 of them.
 */
const PART_BYTES = 16 * 2 ** 20;
/** Maximum number of attempts per request. */
const TRIES = 5;
const FIRST_WAIT_MS = 200;

/**
 * A store in a bucket of S3, or of a server with the same protocol. Any number of machines can use it at
 * once. Objects are written atomically, and their content determines their names. Downloads are checked
 * against their ids.
 */
export class S3Store implements RunStore {
  /** Address of the store, e.g. `s3://bucket/prefix`. */
  readonly name: string;
  readonly #client: S3mini;
  readonly #prefix: string;
  readonly #onRetry: (message: string) => void;

  /** @param options Location and credentials. */
  constructor(options: S3StoreOptions) {
    const { endpoint, bucket, prefix = "", region = "auto", accessKeyId, secretAccessKey, fetch } = options;
    const { onRetry = () => {}, silenceMs = 30_000 } = options;
    this.name = `s3://${bucket}/${prefix}`;
    this.#prefix = prefix;
    this.#onRetry = onRetry;
    const send = retryingFetch({ fetch, silenceMs, tries: TRIES, onRetry });
    this.#client = new S3mini({
      accessKeyId,
      secretAccessKey,
      region,
      endpoint: `${endpoint.replace(/\/+$/, "")}/${bucket}`,
      minPartSize: PART_BYTES,
      fetch: async (input, init) => {
        const request = new Request(input, init);
        return await asAmazonAnswers(request.url, await send(request));
      },
    });
  }

  async get(id: string, { onDamage }: StoreReadOptions = {}): Promise<Artifact | undefined> {
    const key = this.#key("artifacts", id);
    const bytes = await this.#read(key);
    if (!bytes) return undefined;
    const found = await artifactId(bytes);
    if (found === id) return decodeArtifact(bytes, this.#place(key));
    onDamage?.(this.#damage("artifact", id, key, `its content has the SHA-256 ${found}`));
    return undefined;
  }

  async outline(id: string, { onDamage }: StoreReadOptions = {}): Promise<ArtifactOutline | undefined> {
    const key = this.#key("artifacts", id);
    const size = await this.#size(key);
    if (size === undefined) return undefined;
    const name = this.#place(key);
    try {
      const read = async (start: number, end: number): Promise<Uint8Array> =>
        await this.#attempt("read", key, async () => {
          const answer = await this.#client.getObjectRaw(key, false, start, end);
          return new Uint8Array(await answer.arrayBuffer());
        });
      return outlineOfFile(await readSafetensorsHeader({ name, size, read }), name);
    } catch (error) {
      if (error instanceof StoreRequestError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      onDamage?.(this.#damage("artifact", id, key, reason));
      return undefined;
    }
  }

  async put(artifact: Artifact): Promise<string> {
    const bytes = encodeArtifact(artifact);
    const id = await artifactId(bytes);
    const key = this.#key("artifacts", id);
    if (await this.#size(key) !== bytes.length) await this.#write(key, bytes, "application/octet-stream");
    return id;
  }

  async has(id: string): Promise<boolean> {
    return await this.#size(this.#key("artifacts", id)) !== undefined;
  }

  async delete(id: string): Promise<void> {
    await this.#remove(this.#key("artifacts", id));
    await this.#remove(this.#key("makers", id));
  }

  /** Lists all artifacts. The time of last use is when they were put. */
  async *list(): AsyncGenerator<StoredArtifact> {
    for (const { key, bytes, usedAt } of await this.objects("artifacts")) {
      const id = key.slice(this.#prefix.length + FOLDERS.artifacts[0].length, -FOLDERS.artifacts[1].length);
      if (sha256Schema.safeParse(id).success) yield { id, bytes, usedAt };
    }
  }

  async result(key: string, options: StoreReadOptions = {}): Promise<StageRecord | undefined> {
    const content = await this.#record("results", key, options);
    return content && stageRecordSchema.safeParse(content).data;
  }

  async keepResult(key: string, record: StageRecord): Promise<void> {
    await this.#writeRecord("results", key, record);
    await Promise.all(
      Object.values(record.outputs).map(async (id) => {
        if (await this.#size(this.#key("makers", id)) === undefined) {
          await this.#writeRecord("makers", id, { key });
        }
      }),
    );
  }

  async removeResult(key: string): Promise<void> {
    await this.#remove(this.#key("results", key));
  }

  async madeBy(id: string, options: StoreReadOptions = {}): Promise<StageRecord | undefined> {
    const key = await this.makerOf(id, options);
    return key === undefined ? undefined : await this.result(key, options);
  }

  /** Returns the key of the result that an artifact belongs to, or `undefined` if it is unknown. */
  async makerOf(id: string, options: StoreReadOptions = {}): Promise<string | undefined> {
    const content = await this.#record("makers", id, options);
    return sha256Schema.safeParse(content?.["key"]).data;
  }

  /**
   * Returns a URL at which anybody can read or write an artifact for some time. A program that passes the
   * bytes on must check them against the id.
   *
   * @param id The artifact.
   * @param seconds Validity in seconds, a week at most.
   * @param method What the URL allows. Servers that support checksums reject bytes with another SHA-256. The
   * request must carry {@linkcode uploadHeaders}.
   */
  async signedUrl(id: string, seconds: number, method: "GET" | "PUT" = "GET"): Promise<string> {
    const headers = method === "PUT" ? uploadHeaders(id) : {};
    return await this.#client.getPresignedUrl(method, this.#key("artifacts", id), seconds, {}, headers);
  }

  /**
   * Keeps a picture file next to the artifacts, and returns a URL from which anybody can read it for some
   * time.
   *
   * @param name Its name, which identifies the artifact and how it was written. A name always has the same
   * content.
   * @param type Its media type.
   * @param seconds Validity in seconds, a week at most.
   * @param write Returns the picture if it is not there yet, or `undefined` if there is no such picture.
   */
  async publish(
    name: string,
    type: string,
    seconds: number,
    write: () => Promise<Uint8Array | undefined>,
  ): Promise<string | undefined> {
    const key = `${this.#prefix}${FOLDERS.pictures[0]}${name}`;
    if (await this.#size(key) === undefined) {
      const bytes = await write();
      if (!bytes) return undefined;
      await this.#write(key, bytes, type);
    }
    return await this.#client.getPresignedUrl("GET", key, seconds);
  }

  /**
   * Lists the objects of a kind, with their sizes in bytes and the time when they were put, in milliseconds
   * since 1970.
   */
  async objects(folder: Folder): Promise<{ key: string; bytes: number; usedAt: number }[]> {
    const prefix = this.#prefix + FOLDERS[folder][0];
    const found: ListObject[] | null = await this.#attempt(
      "list",
      prefix,
      () => this.#client.listObjects("/", prefix),
    );
    return (found ?? []).map(({ Key, Size, LastModified }) => ({
      key: Key,
      bytes: Number(Size),
      usedAt: new Date(LastModified).getTime(),
    }));
  }

  /**
   * Removes the objects that were put longest ago, until the others fit.
   *
   * @param maxBytes Maximum size to leave.
   * @returns Numbers and sizes in bytes of the removed objects, and of those that are left.
   */
  async collect(maxBytes: number): Promise<Record<"removed" | "left", { files: number; bytes: number }>> {
    const folders = Object.keys(FOLDERS) as Folder[];
    const all = (await Promise.all(folders.map((folder) => this.objects(folder)))).flat()
      .toSorted((a, b) => a.usedAt - b.usedAt);
    const left = { files: all.length, bytes: all.reduce((sum, { bytes }) => sum + bytes, 0) };
    const removed = { files: 0, bytes: 0 };
    for (const { key, bytes } of all) {
      if (left.bytes <= maxBytes) break;
      await this.#remove(key);
      left.files -= 1;
      left.bytes -= bytes;
      removed.files += 1;
      removed.bytes += bytes;
    }
    return { removed, left };
  }

  #key(folder: Folder, id: string): string {
    const [start, end] = FOLDERS[folder];
    return this.#prefix + start + sha256Schema.parse(id) + end;
  }

  #place(key: string): string {
    return this.name + key.slice(this.#prefix.length);
  }

  #damage(what: StoreDamage["what"], id: string, key: string, reason: string): StoreDamage {
    return { what, id, place: this.#place(key), reason };
  }

  async #record(
    folder: "results" | "makers",
    id: string,
    { onDamage }: StoreReadOptions,
  ): Promise<JsonObject | undefined> {
    const key = this.#key(folder, id);
    const bytes = await this.#read(key);
    const content = bytes && await openRecord(bytes);
    if (bytes && !content) {
      onDamage?.(this.#damage("record", id, key, "its content has another SHA-256"));
    }
    return content;
  }

  async #writeRecord(folder: Folder, id: string, content: object): Promise<void> {
    const bytes = await sealRecord(asJson(content) as JsonObject);
    await this.#write(this.#key(folder, id), bytes, "application/json");
  }

  async #read(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = await this.#attempt("read", key, () => this.#client.getObjectArrayBuffer(key));
    return bytes === null ? undefined : new Uint8Array(bytes);
  }

  async #write(key: string, bytes: Uint8Array, type: string): Promise<void> {
    await this.#attempt("write", key, () => this.#client.putAnyObject(key, bytes, type));
  }

  async #remove(key: string): Promise<void> {
    await this.#attempt("remove", key, () => this.#client.deleteObject(key));
  }

  /** Returns the size of an object in bytes, or `undefined` if it does not exist. */
  async #size(key: string): Promise<number | undefined> {
    return await this.#attempt("look at", key, async () => {
      try {
        return await this.#client.getContentLength(key);
      } catch (error) {
        if (describe(error).status === 404) return undefined;
        throw error;
      }
    });
  }

  /**
   * Retries an operation if the connection breaks or the server fails. All operations here are safe to
   * repeat.
   */
  async #attempt<T>(what: string, key: string, work: () => Promise<T>): Promise<T> {
    for (let tried = 1;; tried++) {
      try {
        return await work();
      } catch (error) {
        const { status, reason } = describe(error);
        const mayPass = status === 0 || status === 429 || status >= 500;
        if (!mayPass || tried >= TRIES) {
          throw new StoreRequestError(`Cannot ${what} ${this.#place(key)}: ${reason}`, status, {
            cause: error,
          });
        }
        this.#onRetry(
          `Cannot ${what} ${this.#place(key)}: ${reason}. Trying again (${tried + 1} of ${TRIES})`,
        );
        await new Promise((resolve) => setTimeout(resolve, FIRST_WAIT_MS * 2 ** (tried - 1)));
      }
    }
  }
}

/** Returns the headers of a request that writes an artifact to a signed URL. */
export function uploadHeaders(id: string): Record<string, string> {
  const digest = Uint8Array.from(id.match(/../g) ?? [], (digits) => parseInt(digits, 16));
  return { "x-amz-checksum-sha256": toBase64(digest) };
}

/** Renames the root element of the answer to a new upload, which rclone names differently from Amazon. */
async function asAmazonAnswers(url: string, response: Response): Promise<Response> {
  if (!response.ok || !new URL(url).searchParams.has("uploads")) return response;
  const text = await response.text();
  return new Response(text.replaceAll(/(<\/?InitiateMultipartUpload)(?=[\s>])/g, "$1Result"), response);
}

/** Returns an error's HTTP status, or 0 if there was no answer, and its reason. */
function describe(error: unknown): { readonly status: number; readonly reason: string } {
  if (error instanceof S3ServiceError) {
    const { status, serviceCode = "no code" } = error;
    const advice = status === 401 || status === 403
      ? "; are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY right?"
      : "";
    return { status, reason: `the server answered ${status} (${serviceCode})${advice}` };
  }
  if (error instanceof Error && error.cause instanceof S3ServiceError) return describe(error.cause);
  return { status: 0, reason: fetchFailure(error) };
}
