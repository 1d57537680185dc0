/**
 * Makes pictures on a queue of three workers, one per stage, kills workers at random moments and Redis now
 * and then, and counts pictures that were lost, made twice, or different from those of a local run.
 *
 *     deno run -A bench/queue_chaos.ts [--pictures 200] [--kills 30] [--restarts 2] [--seed 1] [--steps 2]
 *
 * It needs redis-server. A worker killed with SIGKILL restarts at once, as under an operator's supervisor.
 * Redis has an append-only file and is killed with SIGKILL too. Afterwards, a local run makes every picture
 * again.
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import pMap from "p-map";
import { FolderStore } from "../artifacts/store/folder_store.ts";
import { MemoryStore } from "../artifacts/store/memory_store.ts";
import { runGraph } from "../graph/run.ts";
import { textToImage } from "../graph/text_to_image.ts";
import { localRun } from "../local.ts";
import { QueueExecutor } from "../queue/queue_executor.ts";
import { MersenneTwister } from "../random/mersenne_twister.ts";
import { builtInStages } from "../stages/mod.ts";
import { RedisServer } from "../tests/queue/queue_servers.ts";
import { WorkerProcess } from "../tests/queue/worker_process.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    pictures: { type: "string", default: "200" },
    kills: { type: "string", default: "30" },
    restarts: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
    steps: { type: "string", default: "2" },
  },
});
const [PICTURES, KILLS, RESTARTS, SEED, STEPS] = [
  values.pictures,
  values.kills,
  values.restarts,
  values.seed,
  values.steps,
].map(Number) as [number, number, number, number, number];

/** Number of pictures requested at once. */
const CLIENTS = 6;
const STAGES = ["encode", "denoise", "decode"];
const PROMPTS = ["cute cat", "red car", "a slice of pizza", "happy face", "rocket", "blue fish", "sun"];
const MODEL = "pixstage-emoji";

const twister = MersenneTwister.fromSeed(SEED);
const random = (): number => twister.uint32() / 2 ** 32;
const print = (text: string): void => {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
};

const folder = await Deno.makeTempDir({ prefix: "pixstage-chaos-" });
const store = join(folder, "store");
await using redis = await RedisServer.start();

/** Starts the worker of a stage. */
function start(stage: string): WorkerProcess {
  const args = ["--lease", "2", "--residency", "resident"];
  return new WorkerProcess({ queue: redis.address, store, stages: stage, args });
}

const workers = STAGES.map(start);
const ended: WorkerProcess[] = [];
await Promise.all(workers.map((worker) => worker.works()));

/** Returns the graph of a picture: prompts repeat, seeds do not. */
function picture(index: number) {
  return textToImage({
    model: MODEL,
    prompts: [PROMPTS[index % PROMPTS.length]!],
    seeds: [String(index)],
    steps: STEPS,
  });
}

// 1. Schedule the events: each happens after a number of pictures and some milliseconds.
const events = [
  ...Array.from({ length: KILLS }, () => ({ what: "kill", at: random() * PICTURES * 0.9 })),
  ...Array.from({ length: RESTARTS }, (_, index) => ({
    what: "restart",
    at: ((index + 1) * PICTURES) / (RESTARTS + 1),
  })),
].map((event) => ({ ...event, delay: random() * 700, worker: Math.floor(random() * STAGES.length) }))
  .toSorted((a, b) => a.at - b.at);
let made = 0;
let kills = 0;
let restarts = 0;
let running = true;

async function harm(): Promise<void> {
  for (const { what, at, delay, worker } of events) {
    while (made < at && running) await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, delay));
    if (!running) return;
    if (what === "restart") {
      await redis.down("SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, 500));
      await redis.up();
      restarts += 1;
    } else {
      const victim = workers[worker]!;
      await victim.end("SIGKILL");
      ended.push(victim);
      workers[worker] = start(STAGES[worker]!);
      kills += 1;
    }
  }
}

// 2. Make the pictures on the queue.
const began = performance.now();
const executor = new QueueExecutor(`queue:${redis.address}`, { keepsOpen: true, patienceMs: 120_000 });
const harming = harm();
const ids = await pMap(Array.from({ length: PICTURES }, (_, index) => index), async (index) => {
  const result = await runGraph(picture(index), {
    registry: builtInStages(),
    executors: [executor],
    store: new FolderStore(store),
    snapshots: { everySteps: 1 },
  });
  made += 1;
  return result.get("decode.image")!.id;
}, { concurrency: CLIENTS, stopOnError: false });
running = false;
await harming;
const seconds = (performance.now() - began) / 1000;
await executor.close();
await Promise.all(workers.map((worker) => worker.end("SIGTERM")));

// 3. Check the workers' logs: a job can only be taken again if its worker or the queue went away.
const lines = [...ended, ...workers].flatMap((worker) => worker.events);
const count = (event: string): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const line of lines) {
    if (line.event === event && line.job !== undefined) counts.set(line.job, (counts.get(line.job) ?? 0) + 1);
  }
  return counts;
};
const taken = count("taken");
const retaken = [...taken.values()].reduce((sum, times) => sum + times - 1, 0);
const doneTwice = [...count("done").values()].reduce((sum, times) => sum + times - 1, 0);

// A kill costs the current job, a restart at most those of all three workers.
const mayBeRetaken = kills + restarts * STAGES.length;
print(
  `${ids.length} of ${PICTURES} pictures in ${seconds.toFixed(0)} s, ${kills} kills, ${restarts} restarts`,
);
print(`${taken.size} jobs, ${retaken} taken again (at most ${mayBeRetaken}), ${doneTwice} finished twice`);

// 4. Make every picture locally, and compare. Prompts repeat, so that their embeddings are made once, and
// weights stay open.
const comparing = performance.now();
const local = localRun({ residency: { "*": "resident" } });
const own = new MemoryStore();
let different = 0;
for (const [index, id] of ids.entries()) {
  const result = await runGraph(picture(index), { ...local, store: own });
  const made = result.get("decode.image")!.id;
  if (made !== id) different += 1;
  await own.delete(made);
}
await Deno.remove(folder, { recursive: true });
print(`local runs took ${((performance.now() - comparing) / 1000).toFixed(0)} s`);

print(
  `${ids.length} of ${PICTURES} pictures in ${seconds.toFixed(0)} s, ${kills} kills, ${restarts} restarts`,
);
print(`${taken.size} jobs, ${retaken} taken again (at most ${mayBeRetaken}), ${doneTwice} finished twice`);
print(`${different} pictures differ from a local run`);
const isGood = ids.length === PICTURES && kills === KILLS && restarts === RESTARTS && different === 0 &&
  retaken <= mayBeRetaken && doneTwice <= mayBeRetaken;
print(isGood ? "All checks passed" : "Some checks failed");
if (!isGood) Deno.exit(1);
