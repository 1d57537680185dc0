/**
 * Loads a server: a number of clients request pictures at once for a while, and the script times the health
 * check.
 *
 *     deno run -A bench/load.ts [--clients 50] [--seconds 60] [--model pixstage-emoji] [--steps 4]
 *         [--size 256] [--max-queue 16]
 *
 * It starts the server itself, only on the loopback address and with a store of its own, and stops it at the
 * end. Every client orders a job, follows it to its end, fetches the picture and orders the next. A client
 * that is asked to retry later does so. In the end, all accepted jobs must have succeeded.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { sseEvents } from "../tests/server/serving.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    clients: { type: "string", default: "50" },
    seconds: { type: "string", default: "60" },
    model: { type: "string", default: "pixstage-emoji" },
    steps: { type: "string", default: "4" },
    size: { type: "string", default: "256" },
    "max-queue": { type: "string", default: "16" },
  },
});
const CLIENTS = Math.min(Number(values.clients), 200);
const SECONDS = Math.min(Number(values.seconds), 600);
const PROMPTS = [
  "cute cat",
  "red car",
  "a slice of pizza",
  "happy face",
  "rocket",
  "blue fish",
  "green apple",
  "sun",
];

/** Resident memory at a moment, and the number of jobs that had ended by then. */
interface Resident {
  readonly jobs: number;
  readonly bytes: number;
}

/** The figures of the load. */
const figures = {
  taken: 0,
  completed: 0,
  refused: 0,
  faults: [] as string[],
  latencies: [] as number[],
  health: [] as number[],
  resident: [] as Resident[],
  lag: "",
};

const store = await Deno.makeTempDir({ prefix: "pixstage-load-" });
const server = new Deno.Command(Deno.execPath(), {
  args: [
    ...["task", "--quiet", "serve"],
    ...["--port", "0", "--store", store, "--model", values.model, "--max-queue", values["max-queue"]],
  ],
  cwd: new URL("..", import.meta.url),
  stderr: "piped",
}).spawn();

try {
  const url = await listening(server.stderr);
  const until = performance.now() + SECONDS * 1000;
  const watch = watching(url, until);
  await Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(url, index, until)));
  await watch;
  figures.lag = eventLoopLag(await (await fetch(`${url}/metrics`)).text());
  report();
} finally {
  server.kill("SIGTERM");
  await server.status;
  await Deno.remove(store, { recursive: true });
}

/** Waits for the server's address, and keeps reading its output. */
async function listening(stderr: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  const reader = stderr.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = "";;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The server ended: ${text}`);
    text += value;
    const [, url] = /listens at (http:\S+)/.exec(text) ?? [];
    if (url === undefined) continue;
    (async () => {
      while (!(await reader.read()).done);
    })();
    return url;
  }
}

/** Runs one client: order, follow, fetch, repeat. It waits for accepted jobs even after the end. */
async function client(url: string, index: number, until: number): Promise<void> {
  const size = Number(values.size);
  for (let round = 0; performance.now() < until; round++) {
    const request = {
      model: values.model,
      prompts: [PROMPTS[(index + round) % PROMPTS.length]],
      seeds: [index * 1000 + round],
      steps: Number(values.steps),
      width: size,
      height: size,
    };
    const started = performance.now();
    const reply = await fetch(`${url}/v1/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-client-id": `client-${index}` },
      body: JSON.stringify({ request, previews: false }),
    });
    const job = await reply.json();
    if (reply.status === 429) {
      figures.refused++;
      const seconds = Math.min(Number(reply.headers.get("retry-after")), 5);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      continue;
    }
    if (reply.status !== 202) {
      figures.faults.push(`${reply.status} ${JSON.stringify(job)}`);
      return;
    }
    figures.taken++;
    for await (const { event, data } of sseEvents(await fetch(`${url}/v1/jobs/${job.id}/events`))) {
      if (event === "failed" || event === "cancelled") figures.faults.push(data);
    }
    const over = await (await fetch(`${url}/v1/jobs/${job.id}`)).json();
    if (over.status !== "completed") {
      figures.faults.push(`${job.id} is ${over.status}`);
      continue;
    }
    const picture = await fetch(url + over.images[0].url);
    const bytes = await picture.bytes();
    if (picture.status !== 200 || bytes.length < 100) figures.faults.push(`picture ${picture.status}`);
    figures.completed++;
    figures.latencies.push(performance.now() - started);
  }
}

/** Times the health check ten times a second, and reads the resident memory every two seconds. */
async function watching(url: string, until: number): Promise<void> {
  for (let tick = 0; performance.now() < until; tick++) {
    const started = performance.now();
    const reply = await fetch(`${url}/healthz`);
    await reply.body?.cancel();
    figures.health.push(performance.now() - started);
    if (tick % 20 === 0) {
      const text = await (await fetch(`${url}/metrics`)).text();
      const bytes = Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]);
      figures.resident.push({ jobs: figures.completed, bytes });
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Returns how often the server's timers were late, by its own measurement. */
function eventLoopLag(metrics: string): string {
  const bucket = (limit: string): number =>
    Number(
      new RegExp(`^pixstage_event_loop_lag_seconds_bucket\\{le="${limit}"\\} (\\d+)`, "m").exec(metrics)?.[1],
    );
  const share = (limit: string): string => `${(100 * bucket(limit) / bucket("\\+Inf")).toFixed(2)} %`;
  return `${share("0.005")} within 5 ms, ${share("0.02")} within 20 ms`;
}

function report(): void {
  const { taken, completed, refused, faults, latencies, health, resident } = figures;
  const third = Math.ceil(resident.length / 3);
  const megabytes = (list: readonly Resident[]): string =>
    (mean(list.map(({ bytes }) => bytes)) / 1e6).toFixed(0);
  const lines = {
    clients: CLIENTS,
    seconds: SECONDS,
    "jobs taken": taken,
    "jobs completed": completed,
    "jobs lost": taken - completed,
    "answers 429": refused,
    "other faults": faults.length,
    "job, median s": (quantile(latencies, 0.5) / 1000).toFixed(1),
    "/healthz p50 ms": quantile(health, 0.5).toFixed(1),
    "/healthz p99 ms": quantile(health, 0.99).toFixed(1),
    "/healthz worst ms": quantile(health, 1).toFixed(1),
    "server's timers": figures.lag,
    "resident MB, first third": megabytes(resident.slice(0, third)),
    "resident MB, middle third": megabytes(resident.slice(third, -third)),
    "resident MB, last third": megabytes(resident.slice(-third)),
    "resident MB, most": (Math.max(...resident.map(({ bytes }) => bytes)) / 1e6).toFixed(0),
    "MB per 100 jobs, last half": (slope(resident.slice(resident.length >> 1)) / 1e4).toFixed(1),
  };
  const text = Object.entries(lines).map(([name, value]) => `${name.padEnd(26)} ${value}\n`).join("");
  Deno.stdout.writeSync(
    new TextEncoder().encode(text + faults.slice(0, 5).map((fault) => `${fault}\n`).join("")),
  );
  if (faults.length > 0 || taken !== completed) Deno.exitCode = 1;
}

function mean(list: readonly number[]): number {
  return list.reduce((sum, value) => sum + value, 0) / list.length;
}

/** Returns the bytes by which resident memory grows per job: the slope of the least-squares line. */
function slope(moments: readonly Resident[]): number {
  const [jobs, bytes] = [mean(moments.map(({ jobs }) => jobs)), mean(moments.map(({ bytes }) => bytes))];
  const sum = (of: (moment: Resident) => number): number =>
    moments.reduce((total, moment) => total + of(moment), 0);
  return sum((moment) => (moment.jobs - jobs) * (moment.bytes - bytes)) /
    sum((moment) => (moment.jobs - jobs) ** 2);
}

function quantile(list: readonly number[], share: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? NaN;
}
