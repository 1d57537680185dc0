/**
 * Times the queue: its overhead per stage, and the growth of throughput from one worker to two.
 *
 *     deno run -A bench/queue.ts [--jobs 24] [--rounds 3] [--steps 4] [--overhead 60] [--postgres]
 *
 * It needs redis-server or PostgreSQL. The overhead is that of a stage that computes nothing: prepared, run
 * and found in the store, alternately on the queue and in this thread. Throughput is measured alternately
 * with one and two workers of one thread each: for denoising with the embedded model, and for a stage that
 * sleeps, which excludes the processors.
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
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
    steps: { type: "string", default: "4" },
    overhead: { type: "string", default: "60" },
    postgres: { type: "boolean", default: false },
  },
});
const JOBS = Number(values.jobs);
const ROUNDS = Number(values.rounds);
const STEPS = Number(values.steps);
const REPEATS = Number(values.overhead);
/** Duration of the sleeping stage in milliseconds. */
const SLEEP_MS = 400;

const folder = await Deno.makeTempDir({ prefix: "pixstage-bench-" });
await using server = values.postgres ? await PostgresServer.start() : await RedisServer.start();
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

const sleep = (ms: number) => ({ walk: { stage: "walk", parameters: { steps: 1, ms, seed: ++seed } } });

// 1. Measure the overhead of the queue per stage.
const workers = [await start("encode,denoise,walk"), await start("encode,denoise,walk")];
const inline = new InlineExecutor({ models: noModels, runtime: noRuntime() });
const inlineMs: number[] = [];
const queueMs: number[] = [];
for (let repeat = 0; repeat < REPEATS; repeat++) {
  inlineMs.push(await time(inline, sleep(0)));
  queueMs.push(await time(executor, sleep(0)));
}
print(
  `a stage that computes nothing: inline ${median(inlineMs).toFixed(1)} ms, queued ${
    median(queueMs).toFixed(1)
  } ms, more by ${(median(queueMs) - median(inlineMs)).toFixed(1)} ms (median of ${REPEATS}); the fastest ${
    Math.min(...inlineMs).toFixed(1)
  } and ${Math.min(...queueMs).toFixed(1)} ms`,
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
for (const name of ["denoise", "sleep"]) {
  const [one, two] = [1, 2].map((count) => median(rates.get(`${name} ${count}`)!));
  print(
    `${name}: ${one!.toFixed(2)} jobs/s with one worker, ${two!.toFixed(2)} with two: ${
      (two! / one!).toFixed(2)
    } times (median of ${ROUNDS})`,
  );
}

await executor.close();
await Promise.all(workers.map((worker) => worker.end("SIGTERM")));
await Deno.remove(folder, { recursive: true });
