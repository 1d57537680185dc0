/**
 * A local hub with the real one's API: model info, tree, `resolve` with redirects of large files to another
 * origin, hashes and ranges.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";

/** A request that the hub or its file server has received. */
export interface SeenRequest {
  /** The server that received the request. */
  readonly server: "hub" | "files";
  /** Path of the request. */
  readonly path: string;
  /** The `Range` header. */
  readonly range: string | null;
  /** The `Authorization` header. */
  readonly authorization: string | null;
}

/** Replies to a request for a file; `undefined` lets the hub reply as usual. */
export type Intercept = (
  file: string,
  bytes: Uint8Array<ArrayBuffer>,
  request: Request,
) => Response | undefined | Promise<Response | undefined>;

/** A local hub. */
export interface HubServer extends AsyncDisposable {
  /** The hub's address, for `HF_ENDPOINT`. */
  readonly endpoint: string;
  /** All requests in order. */
  readonly requests: SeenRequest[];
  /** Returns the requests for the content of a file, from both servers. */
  requestsFor(file: string): readonly SeenRequest[];
  /** Replies instead of the hub. */
  intercept: Intercept | undefined;
  /** Handles each request first; `undefined` lets the hub reply as usual. */
  answer:
    | ((path: string, request: Request) => Response | undefined | Promise<Response | undefined>)
    | undefined;
}

/** The content of a hub. */
export interface HubServerOptions {
  /** Folders by model and revision. `main` and its commit are the same. */
  readonly models: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The folder that an additional branch points to. */
  readonly branches?: Readonly<Record<string, string>>;
  /** The required token. Without it, the hub replies 401. */
  readonly token?: string;
  /** File sizes that the hub reports instead of the real ones. */
  readonly sizes?: Readonly<Record<string, number>>;
}

/** Returns the commit of a revision: 40 digits unique to it. */
export function commitOf(model: string, revision: string): string {
  return createHash("sha1").update(`${model}@${revision}`).digest("hex");
}

/** Returns the hub's id of a file's content. */
export function hashOf(
  file: string,
  bytes: Uint8Array,
): { readonly oid: string; readonly lfs: string | undefined } {
  const lfs = /\.(safetensors|model|bin)$/.test(file)
    ? createHash("sha256").update(bytes).digest("hex")
    : undefined;
  return { oid: createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex"), lfs };
}

/** Starts a hub. */
export function startHub({ models, branches = {}, token, sizes = {} }: HubServerOptions): HubServer {
  const requests: SeenRequest[] = [];
  let intercept: Intercept | undefined;
  let answer: HubServer["answer"];
  const note = (server: SeenRequest["server"], request: Request): void => {
    requests.push({
      server,
      path: decodeURIComponent(new URL(request.url).pathname),
      range: request.headers.get("Range"),
      authorization: request.headers.get("Authorization"),
    });
  };
  const folderOf = (model: string, revision: string): string | undefined => {
    const revisions = models[model] ?? {};
    const named = branches[revision] ?? revision;
    const name = Object.keys(revisions).find((key) => key === named || commitOf(model, key) === revision);
    return name === undefined ? undefined : revisions[name];
  };
  const send = async (
    folder: string,
    file: string,
    request: Request,
    headers: HeadersInit,
  ): Promise<Response> => {
    const bytes = await Deno.readFile(join(folder, file)).catch(() => undefined);
    if (bytes === undefined) return failure(404, "EntryNotFound");
    return await intercept?.(file, bytes, request) ?? sendRange(bytes, request, headers);
  };

  const fileServer = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    note("files", request);
    const [, org, name, revision, ...file] = decodeURIComponent(new URL(request.url).pathname).split("/");
    return await send(folderOf(`${org}/${name}`, revision ?? "") ?? "", file.join("/"), request, {});
  });

  const hub = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    note("hub", request);
    const first = await answer?.(new URL(request.url).pathname, request);
    if (first) return first;
    if (token !== undefined && request.headers.get("Authorization") !== `Bearer ${token}`) {
      return failure(401, request.headers.has("Authorization") ? undefined : "GatedRepo");
    }
    const parts = new URL(request.url).pathname.split("/").slice(1).map(decodeURIComponent);
    const [model, action, revision = "", file] = parts[0] === "api"
      ? [`${parts[2]}/${parts[3]}`, parts[4], parts[5], ""]
      : [`${parts[0]}/${parts[1]}`, parts[2], parts[3], parts.slice(4).join("/")];
    if (!(model in models)) return failure(404, "RepoNotFound");
    const folder = folderOf(model, revision);
    if (folder === undefined) return failure(404, "RevisionNotFound");
    if (action === "revision") {
      const name = Object.keys(models[model] ?? {}).find((key) => models[model]?.[key] === folder) ?? "";
      return Response.json({
        _id: "0",
        id: model,
        private: false,
        sha: commitOf(model, name),
        downloads: 0,
        likes: 0,
      });
    }
    if (action === "tree") return treePage(folder, new URL(request.url), sizes);
    const bytes = await Deno.readFile(join(folder, file)).catch(() => undefined);
    if (bytes === undefined) return failure(404, "EntryNotFound");
    const { oid, lfs } = hashOf(file, bytes);
    if (lfs === undefined) {
      return await send(folder, file, request, { ETag: `"${oid}"`, "X-Repo-Commit": revision });
    }
    return new Response(null, {
      status: 302,
      headers: {
        Location: `http://127.0.0.1:${fileServer.addr.port}/${model}/${revision}/${file}`,
        "X-Repo-Commit": revision,
        "X-Linked-Etag": `"${lfs}"`,
        "X-Linked-Size": String(bytes.length),
      },
    });
  });

  return {
    endpoint: `http://127.0.0.1:${hub.addr.port}`,
    requests,
    requestsFor: (file) =>
      requests.filter(({ server, path }) =>
        path.endsWith(`/${file}`) && (server === "files" || !/\.(safetensors|model|bin)$/.test(file))
      ),
    get intercept() {
      return intercept;
    },
    set intercept(value) {
      intercept = value;
    },
    get answer() {
      return answer;
    },
    set answer(value) {
      answer = value;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([hub.shutdown(), fileServer.shutdown()]);
    },
  };
}

/** Returns a truncated body, shorter than the announced length. */
export function brokenOff(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes.slice(start, end));
    },
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      controller.error(new Error("broken off"));
    },
  });
  const partial = start > 0;
  return new Response(body, {
    status: partial ? 206 : 200,
    headers: {
      "Content-Length": String(bytes.length - start),
      ...(partial ? { "Content-Range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {}),
    },
  });
}

/** Returns a body that starts, then stalls. */
export function halted(bytes: Uint8Array<ArrayBuffer>, end: number): Response {
  const body = new ReadableStream({ start: (controller) => controller.enqueue(bytes.slice(0, end)) });
  return new Response(body, { headers: { "Content-Length": String(bytes.length) } });
}

/** Returns a body that arrives in small pieces. */
export function trickled(bytes: Uint8Array<ArrayBuffer>, start: number, pieces: number): Response {
  const size = Math.ceil((bytes.length - start) / pieces);
  let sent = start;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (sent >= bytes.length) return controller.close();
      await new Promise((resolve) => setTimeout(resolve, 20));
      controller.enqueue(bytes.slice(sent, sent + size));
      sent += size;
    },
  });
  const headers = { "Content-Range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
  return new Response(body, start > 0 ? { status: 206, headers } : {});
}

function sendRange(bytes: Uint8Array<ArrayBuffer>, request: Request, headers: HeadersInit): Response {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("Range") ?? "");
  if (range === null) return new Response(bytes, { headers });
  const start = Number(range[1]);
  const last = Math.min(Number(range[2] || bytes.length - 1), bytes.length - 1);
  if (start > last) return failure(416);
  return new Response(bytes.slice(start, last + 1), {
    status: 206,
    headers: { ...headers, "Content-Range": `bytes ${start}-${last}/${bytes.length}` },
  });
}

/** Returns the tree in pages of ten. The real hub uses pages of a thousand. */
function treePage(folder: string, url: URL, sizes: Readonly<Record<string, number>>): Response {
  const start = Number(url.searchParams.get("cursor") ?? 0);
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => ({ entry, path: relative(folder, join(entry.parentPath, entry.name)) }))
    .sort((a, b) => a.path < b.path ? -1 : 1);
  const page = paths.slice(start, start + 10).map(({ entry, path }) => {
    if (entry.isDirectory()) return { type: "directory", oid: "0".repeat(40), size: 0, path };
    const bytes = Deno.readFileSync(join(folder, path));
    const { oid, lfs } = hashOf(path, bytes);
    const size = sizes[path] ?? bytes.length;
    return {
      type: "file",
      oid,
      size,
      path,
      ...(lfs === undefined ? {} : { lfs: { oid: lfs, size, pointerSize: 130 } }),
    };
  });
  const next = new URL(url);
  next.searchParams.set("cursor", String(start + 10));
  return Response.json(page, start + 10 < paths.length ? { headers: { Link: `<${next}>; rel="next"` } } : {});
}

/** Never replies, until the client disconnects. */
export function silence(request: Request): Promise<Response> {
  return new Promise((answer) => request.signal.addEventListener("abort", () => answer(failure(500))));
}

/** Returns a refusal of the hub. */
export function failure(status: number, code?: string): Response {
  return Response.json({ error: code ?? "refused" }, {
    status,
    headers: code === undefined ? {} : { "X-Error-Code": code },
  });
}
