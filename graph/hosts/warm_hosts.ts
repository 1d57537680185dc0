// This module is browser compatible.

import type { HostConnection } from "./host_connection.ts";

/**
 * Minimum number of milliseconds for which an idle host is kept that has only prepared stages, because a run
 * is likely to follow its check.
 */
const CHECKED_MS = 30_000;

/** Maximum delay of a timer in milliseconds. */
const LONGEST_MS = 2 ** 31 - 1;

/** A warm host, as its operator sees it. */
export interface WarmHost {
  /** Id of its process, if it has its own. */
  readonly pid?: number | undefined;
  /** Models whose weights the host has in memory, by the names that stages used. */
  readonly models: readonly string[];
  /** Whether the host runs or prepares a stage. */
  readonly isBusy: boolean;
  /** Time of its last use, in milliseconds since 1970. */
  readonly usedAt: number;
  /**
   * When it ends unless it is used before, in milliseconds since 1970. `null` for a host that is busy or
   * waits forever.
   */
  readonly endsAt: number | null;
}

/** State of a host. */
interface Kept {
  usedAt: number;
  endsAt: number | null;
  /** Milliseconds that the host waits, according to its last run. */
  keepMs?: number | undefined;
  /** Whether the host ends as soon as it is idle. */
  isUnwanted: boolean;
  timer?: ReturnType<typeof setTimeout> | undefined;
}

/** Hosts that run stages or wait for one, each for as long as its last run decided. */
export class WarmHosts {
  #idle: HostConnection[] = [];
  #kept = new Map<HostConnection, Kept>();
  #defaultMs: number;

  /**
   * @param defaultMs Milliseconds that a host waits unless a run decides otherwise; `Infinity` means forever.
   */
  constructor(defaultMs: number) {
    this.#defaultMs = defaultMs;
  }

  /** Takes the first or the last idle host. */
  take(which: "first" | "last"): HostConnection | undefined {
    this.#forgetEnded();
    const host = which === "first" ? this.#idle.shift() : this.#idle.pop();
    if (host) this.add(host);
    return host;
  }

  /** Adds a busy host. */
  add(host: HostConnection): void {
    const kept = this.#kept.get(host) ?? { usedAt: 0, endsAt: null, isUnwanted: false };
    clearTimeout(kept.timer);
    this.#kept.set(host, { ...kept, usedAt: Date.now(), endsAt: null });
  }

  /**
   * Returns a host to the idle hosts after it has prepared a stage. Hosts that may have weights in memory are
   * preferred to it for running stages.
   */
  prepared(host: HostConnection): void {
    this.#idle.unshift(host);
    this.#arm(host, this.#kept.get(host)?.keepMs ?? Math.max(this.#defaultMs, CHECKED_MS));
  }

  /**
   * Returns a host that has run a stage to the idle ones. It is taken next, and waits until {@linkcode
   * WarmHosts.keep}.
   */
  ran(host: HostConnection): void {
    this.#idle.push(host);
  }

  /** Forgets a host that is ended elsewhere. */
  drop(host: HostConnection): void {
    clearTimeout(this.#kept.get(host)?.timer);
    this.#kept.delete(host);
    this.#idle = this.#idle.filter((other) => other !== host);
  }

  /**
   * Sets how long a host waits from now on, after a run that used it. A host that another run uses follows
   * that run instead.
   *
   * @param host The host.
   * @param keepMs Milliseconds. The default is `defaultMs`. 0 ends the host.
   */
  async keep(host: HostConnection, keepMs: number = this.#defaultMs): Promise<void> {
    const kept = this.#kept.get(host);
    if (!kept || !this.#idle.includes(host)) return;
    kept.keepMs = keepMs;
    if (keepMs <= 0 || kept.isUnwanted) await this.#end(host);
    else this.#arm(host, keepMs);
  }

  /** Ends idle hosts beyond a number. */
  async trim(most: number): Promise<void> {
    await Promise.all(this.#idle.slice(most).map((host) => this.#end(host)));
  }

  /**
   * Ends the hosts that have a model in memory. A busy host ends once its run is over.
   *
   * @param model The model. The default is all hosts.
   * @returns The models whose weights are released.
   */
  async unload(model?: string): Promise<string[]> {
    this.#forgetEnded();
    const hosts = [...this.#kept.keys()].filter(({ held }) => model === undefined || held.has(model));
    const models = new Set(hosts.flatMap(({ held }) => [...held]));
    await Promise.all(hosts.map(async (host) => {
      if (this.#idle.includes(host)) return await this.#end(host);
      this.#kept.get(host)!.isUnwanted = true;
    }));
    return [...models];
  }

  /** Lists all hosts. */
  list(): WarmHost[] {
    this.#forgetEnded();
    return Array.from(this.#kept, ([host, { usedAt, endsAt }]) => ({
      pid: host.pid,
      models: [...host.held],
      isBusy: !this.#idle.includes(host),
      usedAt,
      endsAt,
    }));
  }

  /** Ends all idle hosts. */
  async close(): Promise<void> {
    await this.trim(0);
  }

  async #end(host: HostConnection): Promise<void> {
    this.drop(host);
    await host.close();
  }

  /** Ends a host after some time unless it is used before. */
  #arm(host: HostConnection, ms: number): void {
    const kept = this.#kept.get(host);
    if (!kept) return;
    clearTimeout(kept.timer);
    kept.endsAt = ms > LONGEST_MS ? null : Date.now() + ms;
    if (kept.endsAt !== null) kept.timer = setTimeout(() => this.#end(host), ms);
  }

  #forgetEnded(): void {
    for (const host of this.#kept.keys()) if (host.isOver) this.drop(host);
  }
}
