/**
 * Times the queue: its overhead per stage, and the growth of throughput from one worker to several.
 *
 *     deno run -A bench/queue.ts [--workers 1,2] [--threads 1] [--jobs 24] [--rounds 3] [--steps 8]
 *       [--overhead 100] [--postgres]
 *
 * It needs redis-server or PostgreSQL. The overhead is that of a stage that computes nothing: prepared, run
 * and kept in the store, alternately on the queue and in this thread. The first few, which open connections,
 * do not count. Throughput is measured alternately for each number of workers, for denoising with the
 * embedded model, and for a stage that sleeps, which excludes the processors. Between these, the same numbers
 * of bare processes denoise without a queue: they show how the hardware itself scales, which bounds the
 * workers. `--threads` is that of each worker and of each bare process. Medians are printed beside their aims,
 * with the processor time of each part. The time of a flushed write and the load of the machine affect all
 * figures.
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeAtomically } from "../disk/atomic_write.ts";
import { FolderStore } from "../artifacts/store/folder_store.ts";
import { InlineExecutor } from "../graph/executors/inline.ts";
import type { Executor } from "../graph/executors/executor.ts";
import { runGraph } from "../graph/run.ts";
import { QueueExecutor } from "../queue/queue_executor.ts";
import { builtInStages } from "../stages/mod.ts";
import { StageRegistry } from "../stages/registry.ts";
import { noModels, noRuntime } from "../tests/graph/toy_stages.ts";
import { PostgresServer, RedisServer } from "../tests/queue/queue_servers.ts";
import walkStages from "../tests/queue/walk_plugin.ts";
import { WALK_PLUGIN, WorkerProcess } from "../tests/queue/worker_process.ts";
import { BareProcess, denoiseNodes } from "./bare_denoise.ts";
import { describeProcessors, processorTime } from "./processor_time.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    workers: { type: "string", default: "1,2" },
    threads: { type: "string", default: "1" },
    jobs: { type: "string", default: "24" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "8" },
    overhead: { type: "string", default: "100" },
    postgres: { type: "boolean", default: false },
  },
});
const COUNTS = values.workers.split(",").map(Number);
const JOBS = Number(values.jobs);
const ROUNDS = Number(values.rounds);
const STEPS = Number(values.steps);
const REPEATS = Number(values.overhead);
/** Runs before figures count. */
const WARM_UP = 10;
/** The aims: milliseconds that the queue adds, and how much of each worker's rate several of them reach. */
const AIM = { overheadMs: 30, growth: 0.9 };
/** Duration of the sleeping stage in milliseconds. */
const SLEEP_MS = 400;

const folder = await Deno.makeTempDir({ prefix: "pixstage-bench-" });
await using server = values.postgres ? await PostgresServer.start() : await RedisServer.start("everysec");
const executor = new QueueExecutor(`queue:${server.address}`, { keepsOpen: true });
const registry = new StageRegistry([...builtInStages().list(), ...walkStages]);
const store = new FolderStore(join(folder, "store"));
let seed = 0;

const print = (text: string): void => {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
};
const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;

function start(stages: string): Promise<WorkerProcess> {
  const options = { queue: server.address, store: store.folder, stages };
  const args = ["--plugin", WALK_PLUGIN, "--lease", "10", "--threads", values.threads];
  return new WorkerProcess({ ...options, args }).works();
}

/** Returns the milliseconds of a graph with one node. */
async function time(where: Executor, nodes: object): Promise<number> {
  const began = performance.now();
  await runGraph({ pixstage: 1, nodes }, { registry, executors: [where], store, snapshots: false });
  return performance.now() - began;
}

/** Milliseconds that a small file takes to reach the disk. */
async function flushMs(): Promise<number> {
  const times: number[] = [];
  for (let repeat = 0; repeat < 20; repeat++) {
    const began = performance.now();
    await writeAtomically(join(folder, `flush-${repeat}`), [new Uint8Array(500)]);
    times.push(performance.now() - began);
  }
  return median(times);
}

const sleep = (ms: number) => ({ walk: { stage: "walk", parameters: { steps: 1, ms, seed: ++seed } } });

// 1. Measure the overhead of the queue per stage.
const workers = [await start("encode,denoise,walk"), await start("encode,denoise,walk")];
const inline = new InlineExecutor({ models: noModels, runtime: noRuntime() });
const inlineMs: number[] = [];
const queueMs: number[] = [];
for (let repeat = -WARM_UP; repeat < REPEATS; repeat++) {
  const here = await time(inline, sleep(0));
  const there = await time(executor, sleep(0));
  if (repeat < 0) continue;
  inlineMs.push(here);
  queueMs.push(there);
}
const more = queueMs.map((ms, index) => ms - inlineMs[index]!);
const fastest = (numbers: readonly number[]): string => Math.min(...numbers).toFixed(1);
print(
  `here: a write that reaches the disk ${(await flushMs()).toFixed(1)} ms, load ${
    Deno.loadavg()[0]!.toFixed(1)
  } on ${navigator.hardwareConcurrency} processors`,
);
print(
  `a stage that computes nothing: inline ${median(inlineMs).toFixed(1)} ms, queued ${
    median(queueMs).toFixed(1)
  } ms, more by ${
    median(more).toFixed(1)
  } ms (aim: ${AIM.overheadMs} at most; medians of ${REPEATS}); the fastest ${fastest(inlineMs)} and ${
    fastest(queueMs)
  } ms`,
);

// 2. Measure throughput alternately for each number of workers, and of bare processes.
/** The rates of a kind of jobs by the number of workers, in jobs per second. */
const rates = new Map<string, number[]>();
/** The processor time of each part in the last round. */
const processors = new Map<string, string>();

/** Measures the rate of jobs, after twice as many as there are workers, which open weights and connections. */
async function measure(name: string, count: number, run: (count: number) => Promise<void>): Promise<void> {
  await run(2 * count);
  const before = processorTime();
  const began = performance.now();
  await run(JOBS);
  const seconds = (performance.now() - began) / 1000;
  const after = processorTime();
  const key = `${name} ${count}`;
  rates.set(key, [...rates.get(key) ?? [], JOBS / seconds]);
  if (before && after) processors.set(key, describeProcessors(before, after, JOBS, seconds));
}

/** Returns what runs jobs on the queue, all at once. */
const onQueue = (nodes: () => object) => async (jobs: number): Promise<void> => {
  await Promise.all(Array.from({ length: jobs }, () => time(executor, nodes())));
};

/** Measures bare processes, each of which takes the next job when it is free. */
async function measureBare(count: number): Promise<void> {
  const bare = Array.from({ length: count }, () => new BareProcess(Number(values.threads), STEPS));
  await measure("bare", count, async (jobs) => {
    let left = jobs;
    await Promise.all(bare.map(async (one) => {
      while (left-- > 0) await one.denoise();
    }));
  });
  await Promise.all(bare.map((one) => one.end()));
}

for (let round = 0; round < ROUNDS; round++) {
  for (const count of COUNTS) {
    while (workers.length > count) await workers.pop()!.end("SIGTERM");
    while (workers.length < count) workers.push(await start("encode,denoise,walk"));
    await measure("denoise", count, onQueue(() => denoiseNodes(++seed, STEPS)));
    await measure("sleep", count, onQueue(() => sleep(SLEEP_MS)));
    await measureBare(count);
  }
}

/** Returns how a rate grows from the first number of workers to another one. */
const growth = (name: string, count: number): number =>
  median(rates.get(`${name} ${count}`)!) / median(rates.get(`${name} ${COUNTS[0]}`)!);

for (const count of ROUNDS > 0 ? COUNTS : []) {
  for (const name of ["denoise", "bare", "sleep"]) {
    const key = `${name} ${count}`;
    print(
      `${key}: ${median(rates.get(key)!).toFixed(2)} jobs/s, ${
        growth(name, count).toFixed(2)
      } times (medians of ${ROUNDS}); ${processors.get(key) ?? "no processor times"}`,
    );
  }
  if (count === COUNTS[0]) continue;
  const most = count / COUNTS[0]!;
  const [queued, bare] = [growth("denoise", count), growth("bare", count)];
  print(
    `${count} workers: ${queued.toFixed(2)} times the rate of ${COUNTS[0]} (aim: ${
      (most * AIM.growth).toFixed(1)
    } at least); bare processes: ${bare.toFixed(2)} times; the queue reaches ${
      (100 * queued / bare).toFixed(0)
    } % of what the hardware allows`,
  );
}

await executor.close();
await Promise.all(workers.map((worker) => worker.end("SIGTERM")));
await Deno.remove(folder, { recursive: true });
