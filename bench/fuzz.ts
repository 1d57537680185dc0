// deno-lint-ignore-file no-console
/**
 * Sends random requests to a server and watches its event loop.
 *
 *     deno run -A bench/fuzz.ts [--requests 100000] [--at-once 8] [--seed N]
 *
 * The requests are drawn from the server's own OpenAPI document: valid ones, ones that are invalid in one
 * place, large ones, and clients that disconnect. The server is a separate process that fully checks all
 * orders, but ends their runs at once. The benchmark fails if an answer has a status of 500 or above other
 * than 503 and 507.
 *
 * @module
 */

import fc from "fast-check";
import { parseArgs } from "node:util";
import { z } from "zod";
import { createServer } from "../server/create_server.ts";
import { builtInStages } from "../stages/mod.ts";
import { goldenPath } from "../tests/goldens.ts";
import { HastyEngine } from "../tests/server/hasty_engine.ts";
import { answerText, type Document, requestOf } from "../tests/server/random_requests.ts";
import { MODELS } from "../tests/server/serving.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    requests: { type: "string", default: "100000" },
    "at-once": { type: "string", default: "8" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    serve: { type: "string" },
  },
});

/** Number of requests that are drawn together. */
const DRAWN = 500;

/** A client abandons one of this many requests. */
const LEAVES = 40;

/** Number of remembered ids of each kind. */
const KNOWN = 50;

/** Milliseconds between two reads of the server's metrics. */
const LOOK_MS = 1000;

/** Serves from a store until the process ends. */
async function serve(store: string): Promise<void> {
  const models = [...MODELS, { name: "tiny-taesd", reference: goldenPath("checkpoints/tiny-taesd") }];
  const server = await createServer({
    store,
    models,
    engine: new HastyEngine({ registry: builtInStages(), models, store }),
    limits: { keptJobs: 100 },
    storeBytes: 1e9,
    log: (event, fields) => event === "fault" && console.error(JSON.stringify(fields)),
  });
  Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => console.log(`http://127.0.0.1:${port}`),
  }, server.fetch);
}

async function bench(): Promise<void> {
  const store = await Deno.makeTempDir({ prefix: "pixstage-fuzz-" });
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.filename!, "--serve", store],
    stdout: "piped",
  }).spawn();
  try {
    const { value } = await child.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
    await fuzz(value!.trim());
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await Deno.remove(store, { recursive: true });
  }
}

async function fuzz(url: string): Promise<void> {
  const wanted = Number(values.requests);
  const document: Document = await (await fetch(`${url}/openapi.json`)).json();
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => requestOf(url, path, method, operation, document))
  );
  const requests = fc.oneof(...operations);
  const known = new KnownIds();
  const statuses = new Map<string, number>();
  const faults: string[] = [];
  const stalls = { longest: 0, busiest: 0, over: 0 };
  const watch = setInterval(() => look(url, stalls), LOOK_MS);
  const started = performance.now();
  let sent = 0;
  for (let round = 0; sent < wanted; round++) {
    const drawn = fc.sample(requests, {
      seed: Number(values.seed) + round,
      numRuns: Math.min(DRAWN, wanted - sent),
    });
    const send = async (): Promise<void> => {
      for (let request = drawn.pop(); request; request = drawn.pop()) {
        sent++;
        const status = await answer(known.laidInto(request), sent % LEAVES === 0, known);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (/^5/.test(status) && status !== "503" && status !== "507") {
          faults.push(`${status} ${request.method} ${request.url}`);
        }
      }
    };
    await Promise.all(Array.from({ length: Number(values["at-once"]) }, send));
    if (round % 20 === 19) console.log(`${sent} sent, longest stall ${stalls.longest.toFixed(3)} s`);
  }
  clearInterval(watch);
  await look(url, stalls);
  console.table({
    seed: values.seed,
    requests: sent,
    seconds: Math.round((performance.now() - started) / 1000),
    answers: [...statuses].sort().map(([status, count]) => `${status}: ${count}`).join(", "),
    "longest delay of the event loop": `${stalls.longest.toFixed(3)} s`,
    "most processor time of one delay": `${stalls.busiest.toFixed(3)} s`,
    "seconds in which that was more than 0.05 s": stalls.over,
  });
  for (const fault of faults.slice(0, 20)) console.error(fault);
  if (faults.length > 0) Deno.exitCode = 1;
}

/** The ids of jobs and artifacts on the server, for half of the requests that name one. */
class KnownIds {
  #ids: Record<"jobs" | "artifacts", string[]> = { jobs: [], artifacts: [] };
  #asked = 0;

  /** Replaces the id in a request by a known one. */
  laidInto(request: Request): Request {
    const [, before, what, after = ""] = /^(.*\/v1\/(jobs|artifacts)\/)[^/?]+(.*)$/.exec(request.url) ?? [];
    if (what !== "jobs" && what !== "artifacts" || request.method === "PUT") return request;
    const ids = this.#ids[what];
    const id = ids[this.#asked++ % (2 * ids.length)];
    return id === undefined ? request : new Request(`${before}${id}${after}`, request);
  }

  /** Remembers the id in an answer. */
  learn(request: Request, status: number, text: string): void {
    const isJob = request.method === "POST" && status === 202;
    if (!isJob && !(request.method === "PUT" && status < 300)) return;
    const { id } = z.object({ id: z.string() }).parse(JSON.parse(text));
    const ids = this.#ids[isJob ? "jobs" : "artifacts"];
    ids.unshift(id);
    ids.splice(KNOWN);
  }
}

/** Returns the status of an answer that was read to its end; `left` if the client disconnected. */
async function answer(request: Request, leaves: boolean, known: KnownIds): Promise<string> {
  try {
    const signal = leaves ? AbortSignal.timeout(1 + Math.random() * 20) : AbortSignal.timeout(60_000);
    const reply = await fetch(request, { signal });
    known.learn(request, reply.status, await answerText(request, reply));
    return String(reply.status);
  } catch (error) {
    if (leaves) return "left";
    return `599 ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Reads the delays of the event loop since the last read. */
async function look(url: string, stalls: { longest: number; busiest: number; over: number }): Promise<void> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const figure = (name: string): number =>
    Number(new RegExp(`^pixstage_event_loop_${name} (\\S+)`, "m").exec(text)?.[1]);
  const busiest = figure("busy_max_seconds");
  stalls.longest = Math.max(stalls.longest, figure("lag_max_seconds"));
  stalls.busiest = Math.max(stalls.busiest, busiest);
  if (busiest > 0.05) stalls.over++;
}

if (values.serve === undefined) await bench();
else await serve(values.serve);
