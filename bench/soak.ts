// deno-lint-ignore-file no-console
/**
 * Loads a server for half an hour, and fills its disk in the meantime.
 *
 *     deno run -A bench/soak.ts [--minutes 30] [--rate 2] [--store-size 64MB] [--seed N]
 *
 * The server is a separate process, and its store is on a small disk that root can mount on a Linux machine.
 * Clients order jobs, streams, pictures and artifacts at a steady rate; some cancel, some disconnect. After a
 * third of the time, the disk is full for a sixth of it. The soak fails if a job is lost or ends for a wrong
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
    "store-size": { type: "string", default: "64MB" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});

const SECONDS = Number(values.minutes) * 60;

/** Iterations of the loop per second. */
const SECOND = 10;

/** Size of the disk in megabytes. */
const DISK_MB = 128;

/** Seconds in which the server must recover once the disk has space. */
const RECOVERS_S = 10;

/** Seconds in which the open jobs must end after the last order. */
const ENDS_S = 300;

/** Maximum growth of resident memory in bytes, from before the disk was full to the end. */
const MOST_GROWTH = 200e6;

/** Maximum response time of `/healthz` in milliseconds. */
const MOST_HEALTH_MS = 2000;

/** Loads one server from the first order to the last. */
class Soak {
  readonly account = new Account();
  #disk: SmallDisk;
  #server: ServerProcess;
  #phase: Phase = "before";
  #mayBeFull = false;
  #faultsReported = 0;
  /** The moment at which the disk had space again, and the number of jobs accepted by then. */
  #emptied: { readonly seconds: number; readonly accepted: number } | undefined;
  /** Seconds from that moment to the first accepted order; NaN if there is none. */
  #recovered = NaN;

  constructor(disk: SmallDisk, server: ServerProcess) {
    this.#disk = disk;
    this.#server = server;
  }

  /** Runs the soak and reports. */
  async run(): Promise<void> {
    const { account } = this;
    const clients = new Clients({
      url: this.#server.url,
      account,
      twister: MersenneTwister.fromSeed(Number(values.seed)),
      phase: () => this.#phase,
      mayBeFull: () => this.#mayBeFull,
    });
    const watch = new Watch(this.#server, (fault) => account.fault(fault));
    const started = performance.now();
    const elapsed = (): number => (performance.now() - started) / 1000;
    let begun = 0;
    for (let tick = 0; elapsed() < SECONDS; tick++) {
      await this.#turn(elapsed());
      for (const due = elapsed() * Number(values.rate); begun < due; begun++) clients.next();
      if (tick % SECOND === 0) watch.tick(this.#phase);
      if (tick % (2 * SECOND) === 0) {
        clients.look().catch((error: unknown) => account.fault(`Checking the jobs failed: ${error}`));
      }
      if (tick % (60 * SECOND) === 0) this.#reportProgress(elapsed());
      await new Promise((resolve) => setTimeout(resolve, 1000 / SECOND));
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

  /** Fills or empties the disk when that is due. */
  async #turn(seconds: number): Promise<void> {
    const { accepted } = this.account;
    if (this.#phase === "before" && seconds >= SECONDS / 3) {
      this.#phase = "full";
      this.#mayBeFull = true;
      this.#reportProgress(seconds);
    }
    if (this.#phase === "full" && seconds < SECONDS / 2) {
      // Fill the space again that the server frees in its store.
      await this.#disk.fill();
    } else if (this.#phase === "full") {
      await this.#disk.empty();
      this.#phase = "after";
      this.#emptied = { seconds, accepted };
      this.#reportProgress(seconds);
    }
    if (this.#emptied === undefined) return;
    if (Number.isNaN(this.#recovered) && accepted > this.#emptied.accepted) {
      this.#recovered = seconds - this.#emptied.seconds;
    }
    if (seconds > this.#emptied.seconds + RECOVERS_S) this.#mayBeFull = false;
  }

  /** Prints the progress and the new faults. */
  #reportProgress(seconds: number): void {
    const { accepted, open, pictures, faultCount } = this.account;
    this.#reportFaults();
    console.error(
      `${Math.round(seconds)} s, ${this.#phase}: ${accepted} jobs accepted, ${open.size} open, ` +
        `${pictures} pictures, ${faultCount} faults`,
    );
  }

  #reportFaults(): void {
    const { faults } = this.account;
    for (const fault of faults.slice(this.#faultsReported)) console.error(fault);
    this.#faultsReported = faults.length;
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
    this.#reportFaults();
    for (const line of log.split("\n")) if (/"event":"(?:job_)?fault"/.test(line)) console.error(line);
    if (account.faultCount > 0) Deno.exitCode = 1;
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

console.error(`--seed ${values.seed} repeats this run`);
const interrupted = Promise.withResolvers<never>();
Deno.addSignalListener("SIGINT", () => interrupted.reject(new Error("The soak was interrupted")));
try {
  await onSmallDisk(DISK_MB, async (disk) => {
    const server = await new ServerProcess({
      store: join(disk.folder, "store"),
      args: ["--store-size", values["store-size"]],
      // The same setting as in `deno task serve`.
      env: { MALLOC_ARENA_MAX: "1" },
    }).listens();
    try {
      await Promise.race([new Soak(disk, server).run(), interrupted.promise]);
    } finally {
      await server.end("SIGTERM");
    }
  });
} catch (error) {
  // The disk is unmounted by now; the clients of an interrupted soak would continue without a server.
  console.error(error);
  Deno.exit(1);
}
Deno.exit();
