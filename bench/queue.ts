/**
 * Times the queue: its overhead per stage, and the growth of throughput from one worker to two.
 *
 *     deno run -A bench/queue.ts [--jobs 24] [--rounds 3] [--steps 8] [--overhead 100] [--postgres]
 *
 * It needs redis-server or PostgreSQL. The overhead is that of a stage that computes nothing: prepared, run
 * and kept in the store, alternately on the queue and in this thread. The first few, which open connections,
 * do not count. Throughput is measured alternately with one and two workers of one thread each: for
 * denoising with the embedded model, and for a stage that sleeps, which excludes the processors. Medians are
 * printed beside their aims, and beside the time of a flushed write and the load of the machine, which affect
 * all figures.
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

const { values } = parseArgs({
  args: Deno.args,
  options: {
    jobs: { type: "string", default: "24" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "8" },
    overhead: { type: "string", default: "100" },
    postgres: { type: "boolean", default: false },
  },
});
const JOBS = Number(values.jobs);
const ROUNDS = Number(values.rounds);
const STEPS = Number(values.steps);
const REPEATS = Number(values.overhead);
/** Runs before figures count. */
const WARM_UP = 10;
/** The aims: milliseconds that the queue adds, and how throughput grows from one worker to two. */
const AIM = { overheadMs: 30, growth: 1.8 };
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
  return new WorkerProcess({ ...options, args: ["--plugin", WALK_PLUGIN, "--lease", "10"] }).works();
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

// 2. Measure throughput alternately with one and two workers.
const prompt = { stage: "encode", parameters: { model: "pixstage-emoji", prompts: ["cute cat"] } };
const denoise = () => ({
  prompt,
  latents: {
    stage: "denoise",
    parameters: { model: "pixstage-emoji", seeds: [String(++seed)], steps: STEPS, guidanceScale: 1 },
    inputs: { embeddings: "prompt.embeddings" },
  },
});
const rates = new Map<string, number[]>();
for (let round = 0; round < ROUNDS; round++) {
  for (const count of [1, 2]) {
    if (count < workers.length) await workers.pop()!.end("SIGTERM");
    while (workers.length < count) workers.push(await start("encode,denoise,walk"));
    for (const [name, nodes] of [["denoise", denoise], ["sleep", () => sleep(SLEEP_MS)]] as const) {
      // This opens the weights and connects all workers to the queue.
      await Promise.all(Array.from({ length: 2 * count }, () => time(executor, nodes())));
      const began = performance.now();
      await Promise.all(Array.from({ length: JOBS }, () => time(executor, nodes())));
      const rate = JOBS / ((performance.now() - began) / 1000);
      rates.set(`${name} ${count}`, [...rates.get(`${name} ${count}`) ?? [], rate]);
    }
  }
}
for (const name of ROUNDS > 0 ? ["denoise", "sleep"] : []) {
  const [one, two] = [1, 2].map((count) => median(rates.get(`${name} ${count}`)!));
  print(
    `${name}: ${one!.toFixed(2)} jobs/s with one worker, ${two!.toFixed(2)} with two: ${
      (two! / one!).toFixed(2)
    } times (aim: ${AIM.growth} at least; medians of ${ROUNDS})`,
  );
}

await executor.close();
await Promise.all(workers.map((worker) => worker.end("SIGTERM")));
await Deno.remove(folder, { recursive: true });
