/**
 * Simulates a queue of 1 to 1000 workers from the times and sizes of stages: throughput, delay and
 * saturation.
 *
 *     deno run -A bench/cluster.ts [--times 2,20,1] [--sizes 0.4,0.3,3.1] [--overhead 0.02] [--spread 0.15]
 *         [--load 0.8] [--network 1000] [--pictures 20000] [--seed 1]
 *
 * Times are the seconds that one worker needs to encode, denoise and decode a picture. Sizes are the
 * megabytes that each stage produces. The network is that of the store, in megabits per second. Requests
 * arrive at random (a Poisson process) at a fraction of the maximum throughput. Workers are divided among the
 * stages in proportion to their times, and each worker runs one job at a time, the oldest first. The script
 * measures nothing itself: pass it the stage times that `pixstage gen --json` reports on your machines.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { MersenneTwister } from "../random/mersenne_twister.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    times: { type: "string", default: "2,20,1" },
    sizes: { type: "string", default: "0.4,0.3,3.1" },
    overhead: { type: "string", default: "0.02" },
    spread: { type: "string", default: "0.15" },
    load: { type: "string", default: "0.8" },
    network: { type: "string", default: "1000" },
    pictures: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
  },
});
const list = (text: string): number[] => text.split(",").map(Number);
const OVERHEAD = Number(values.overhead);
const TIMES = list(values.times).map((seconds) => seconds + OVERHEAD);
const [SPREAD, LOAD, PICTURES] = [values.spread, values.load, values.pictures].map(Number) as [
  number,
  number,
  number,
];
/** Megabits of network traffic per picture: the output of each stage is written once and read once. */
const MEGABITS = list(values.sizes).reduce((sum, size) => sum + size, 0) * 8 * 2;
/** Maximum number of pictures per second that the store's network allows. */
const NETWORK_LIMIT = Number(values.network) / MEGABITS;

const twister = MersenneTwister.fromSeed(Number(values.seed));
/** Returns a random number from 0 to 1, excluding 0. */
const random = (): number => (twister.uint32() + 1) / 2 ** 32;

/**
 * Divides workers among stages in proportion to their work, at least one each. Fewer than three run all
 * stages.
 */
function shares(workers: number): number[] {
  if (workers < TIMES.length) return [workers];
  const counts = TIMES.map(() => 1);
  for (let left = workers - counts.length; left > 0; left--) {
    const busiest = TIMES.map((seconds, stage) => seconds / counts[stage]!);
    counts[busiest.indexOf(Math.max(...busiest))]! += 1;
  }
  return counts;
}

/** Returns when each of the arriving jobs ends, if the first free worker always starts the oldest job. */
function ends(arrivals: readonly number[], workers: number, seconds: number): number[] {
  const free = new Float64Array(workers);
  return arrivals.map((arrival) => {
    const first = free.indexOf(free.reduce((least, time) => Math.min(least, time), Infinity));
    const took = seconds * (1 + SPREAD * (2 * random() - 1));
    return free[first] = Math.max(arrival, free[first]!) + took;
  });
}

const print = (text: string): void => {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
};
print("workers  by stage       pictures/s  waits, mean  waits, 95 %  bound by");
for (const workers of [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000]) {
  const counts = shares(workers);
  const times = counts.length === 1 ? [TIMES.reduce((sum, seconds) => sum + seconds, 0)] : TIMES;
  const rates = times.map((seconds, stage) => counts[stage]! / seconds);
  const capacity = Math.min(...rates);
  const most = Math.min(capacity, NETWORK_LIMIT);
  const asked = most * LOAD;
  // 1. Request pictures.
  let now = 0;
  const starts = Array.from({ length: PICTURES }, () => now -= Math.log(random()) / asked);
  // 2. Run each through its stages; a stage starts jobs in the order of their arrival.
  let at = starts.map((time, picture) => ({ picture, time }));
  for (const [stage, seconds] of times.entries()) {
    at.sort((a, b) => a.time - b.time);
    const done = ends(at.map(({ time }) => time), counts[stage]!, seconds);
    at = at.map(({ picture }, index) => ({ picture, time: done[index]! }));
  }
  // 3. Compute the time that each spent outside of stages.
  const work = times.reduce((sum, seconds) => sum + seconds, 0);
  const waits = at.map(({ picture, time }) => Math.max(time - starts[picture]! - work, 0)).sort((a, b) =>
    a - b
  );
  const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
  const bound = NETWORK_LIMIT < capacity
    ? "the store's network"
    : ["all stages", "encode", "denoise", "decode"][
      counts.length === 1 ? 0 : rates.indexOf(capacity) + 1
    ]!;
  print(
    [
      String(workers).padStart(7),
      counts.join("+").padEnd(13),
      most.toFixed(3).padStart(10),
      `${mean.toFixed(1)} s`.padStart(11),
      `${waits[Math.floor(waits.length * 0.95)]!.toFixed(1)} s`.padStart(11),
      bound,
    ].join("  "),
  );
}
