// deno-lint-ignore-file no-console
/**
 * Loads a server for half an hour, and fills its disk meanwhile.
 *
 *     deno run -A bench/soak.ts [--minutes 30] [--rate 2] [--seed N]
 *
 * The server is a process of its own, and its store lies on a small disk that root of a Linux machine may
 * mount. Clients order jobs, streams, pictures and artifacts at a steady rate; some cancel, some leave. After
 * a third of the time the disk is full for a sixth of it. The soak fails if a job is lost or ends for a wrong
 * reason, if a picture differs from that of the same order before the disk was full, if an answer has a wrong
 * status, if the server stops answering, or if its memory grows.
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { MersenneTwister } from "../random/mersenne_twister.ts";
import { onSmallDisk, type SmallDisk } from "../tests/full_disk/small_disk.ts";
import { ServerProcess } from "../tests/server/server_process.ts";
import { Account, type Phase } from "./soak_account.ts";
import { Clients } from "./soak_clients.ts";
import { Watch } from "./soak_watch.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    minutes: { type: "string", default: "30" },
    rate: { type: "string", default: "2" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});

const SECONDS = Number(values.minutes) * 60;

/** The disk, and the bound of the store on it. */
const DISK_MB = 128;
const STORE_SIZE = "64MB";

/** Seconds in which the server must recover once the disk has space. */
const RECOVERS_S = 10;

/** Seconds in which the open jobs must end after the last order. */
const ENDS_S = 300;

/** Bytes by which resident memory may be larger at the end than before the disk was full. */
const MOST_GROWTH = 200e6;

/** The longest answer of `/healthz`, in milliseconds. */
const MOST_HEALTH_MS = 2000;

/** Loads one server from the first order to the last. */
class Soak {
  readonly account = new Account();
  #disk: SmallDisk;
  #server: ServerProcess;
  #phase: Phase = "before";
  #mayBeFull = false;
  /** Seconds from the moment when the disk had space to the first order that was accepted; NaN for none. */
  #recovered = NaN;
  #acceptedWhenEmptied = 0;
  /** Requests that were begun. */
  #begun = 0;

  constructor(disk: SmallDisk, server: ServerProcess) {
    this.#disk = disk;
    this.#server = server;
  }

  /** Runs it, and reports. */
  async run(): Promise<void> {
    const { account } = this;
    const server = this.#server;
    const clients = new Clients({
      url: server.url,
      account,
      twister: MersenneTwister.fromSeed(Number(values.seed)),
      phase: () => this.#phase,
      mayBeFull: () => this.#mayBeFull,
    });
    const watch = new Watch(server, (fault) => account.fault(fault));
    const begun = performance.now();
    const elapsed = (): number => (performance.now() - begun) / 1000;
    let emptied = Infinity;
    for (let tick = 0; elapsed() < SECONDS; tick++) {
      if (this.#phase === "before" && elapsed() >= SECONDS / 3) {
        this.#phase = "full";
        this.#mayBeFull = true;
        console.error(`${Math.round(elapsed())} s: the disk is full; ${account.accepted} jobs accepted`);
      }
      // What the server removes from its store is taken again.
      if (this.#phase === "full" && tick % 10 === 0) await this.#disk.fill();
      if (this.#phase === "full" && elapsed() >= SECONDS / 2) {
        await this.#disk.empty();
        this.#phase = "after";
        emptied = elapsed();
        console.error(`${Math.round(elapsed())} s: the disk has space; ${account.open.size} jobs are open`);
      }
      if (elapsed() > emptied + RECOVERS_S) this.#mayBeFull = false;
      const due = elapsed() * Number(values.rate);
      while (this.#begun < due) {
        this.#begun += 1;
        clients.next();
      }
      if (tick % 10 === 0) watch.tick(this.#phase);
      if (tick % 600 === 599) {
        console.error(
          `${Math.round(elapsed())} s: ${account.accepted} jobs accepted, ${account.open.size} open, ` +
            `${account.pictures} pictures, ${account.faultCount} faults`,
        );
      }
      if (tick % 20 === 0) void clients.look().catch((error: unknown) => account.fault(String(error)));
      if (
        Number.isNaN(this.#recovered) && emptied < Infinity && account.accepted > this.#acceptedWhenEmptied
      ) {
        this.#recovered = elapsed() - emptied;
      }
      if (emptied === Infinity) this.#acceptedWhenEmptied = account.accepted;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await clients.rest();
    for (const end = elapsed() + ENDS_S; account.open.size > 0 && elapsed() < end;) {
      await clients.look();
      watch.tick(this.#phase);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    await watch.rest();
    for (const { id } of account.open.values()) account.fault(`${id} has not ended`);
    this.#report(clients, watch, elapsed());
  }

  #report(clients: Clients, watch: Watch, seconds: number): void {
    const { account } = this;
    const { start, third, end, growth } = watch.memory();
    if (!(growth <= MOST_GROWTH)) account.fault(`Resident memory grew by ${megabytes(growth)} MB`);
    if (!(watch.longestHealth <= MOST_HEALTH_MS)) {
      account.fault(`/healthz took ${Math.round(watch.longestHealth)} ms`);
    }
    if (Number.isNaN(this.#recovered)) account.fault("No order was accepted after the disk had space again");
    const { log } = this.#server;
    const logged = (event: string): number => log.split(`"event":"${event}"`).length - 1;
    const figures = {
      seed: Number(values.seed),
      seconds: Math.round(seconds),
      rate: Number(values.rate),
      accepted: account.accepted,
      ...account.ended,
      lost: account.open.size,
      statuses: Object.fromEntries([...account.statuses].sort()),
      pictures: account.pictures,
      compared_before: account.compared.before,
      compared_full: account.compared.full,
      compared_after: account.compared.after,
      clients_left: account.left,
      held_back: clients.heldBack,
      stages_cached: watch.total("pixstage_stages_cached_total"),
      steps: watch.total("pixstage_steps_total"),
      store_collections: logged("store_collected"),
      log_faults: logged("fault"),
      log_job_faults: logged("job_fault"),
      recovered_s: Number(this.#recovered.toFixed(1)),
      healthz_longest_ms: Math.round(watch.longestHealth),
      lag_max_s: watch.longestLag,
      busy_max_s: watch.longestBusy,
      cores: Number((watch.processorSeconds / seconds).toFixed(2)),
      resident_start_mb: megabytes(start.server),
      resident_third_mb: megabytes(third.server),
      resident_end_mb: megabytes(end.server),
      hosts_start_mb: megabytes(start.hosts),
      hosts_third_mb: megabytes(third.hosts),
      hosts_end_mb: megabytes(end.hosts),
      faults: account.faultCount,
    };
    console.table(Object.fromEntries(
      Object.entries(figures).map((
        [name, value],
      ) => [name, typeof value === "object" ? JSON.stringify(value) : value]),
    ));
    console.log(JSON.stringify(figures));
    for (const fault of account.faults) console.error(fault);
    for (const line of log.split("\n")) if (/"event":"(?:job_)?fault"/.test(line)) console.error(line);
    if (account.faultCount > 0) Deno.exitCode = 1;
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

console.error(`--seed ${values.seed} draws the same`);
await onSmallDisk(DISK_MB, async (disk) => {
  const server = await new ServerProcess({
    store: join(disk.folder, "store"),
    args: ["--store-size", STORE_SIZE],
    // As `deno task serve` does.
    env: { MALLOC_ARENA_MAX: "1" },
  }).listens();
  try {
    await new Soak(disk, server).run();
  } finally {
    await server.end("SIGTERM");
  }
});
