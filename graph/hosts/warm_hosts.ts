// This module is browser compatible.

import type { HostConnection } from "./host_connection.ts";

/** Milliseconds that a host in which nothing has run yet waits at least: a run is likely to follow its check. */
const CHECKED_MS = 30_000;

/** Timers take no more milliseconds than this. */
const LONGEST_MS = 2 ** 31 - 1;

/** A host that is kept, as its operator sees it. */
export interface WarmHost {
  /** Its process, where it has one of its own. */
  readonly pid?: number | undefined;
  /** The models whose weights it holds, by the names that stages gave. */
  readonly models: readonly string[];
  /** Whether it runs or prepares a stage. */
  readonly isBusy: boolean;
  /** When it was used last, in milliseconds since 1970. */
  readonly usedAt: number;
  /** When it ends unless it is used before; `null` for a host that is busy or waits for ever. */
  readonly endsAt: number | null;
}

/** What is known of a host. */
interface Kept {
  usedAt: number;
  endsAt: number | null;
  /** Milliseconds that the last run wanted it to wait. */
  keepMs?: number | undefined;
  /** Whether it ends as soon as it has nothing to do. */
  isUnwanted: boolean;
  timer?: ReturnType<typeof setTimeout> | undefined;
}

/** Hosts that run stages or wait for some, each for as long as its last run wanted. */
export class WarmHosts {
  #idle: HostConnection[] = [];
  #kept = new Map<HostConnection, Kept>();
  #defaultMs: number;

  /** @param defaultMs Milliseconds that a host waits unless a run says otherwise; `Infinity` for ever. */
  constructor(defaultMs: number) {
    this.#defaultMs = defaultMs;
  }

  /** Takes the first or the last host that waits. */
  take(which: "first" | "last"): HostConnection | undefined {
    this.#forgetEnded();
    const host = which === "first" ? this.#idle.shift() : this.#idle.pop();
    if (host) this.add(host);
    return host;
  }

  /** Takes up a host that is at work. */
  add(host: HostConnection): void {
    const kept = this.#kept.get(host) ?? { usedAt: 0, endsAt: null, isUnwanted: false };
    clearTimeout(kept.timer);
    this.#kept.set(host, { ...kept, usedAt: Date.now(), endsAt: null });
  }

  /** Lets a host wait that has prepared a stage: the others, which may hold weights, are taken before it. */
  prepared(host: HostConnection): void {
    this.#idle.unshift(host);
    this.#arm(host, this.#kept.get(host)?.keepMs ?? Math.max(this.#defaultMs, CHECKED_MS));
  }

  /** Lets a host wait that has run a stage: it is taken next, and waits until {@linkcode WarmHosts.keep}. */
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
   * Says how long a host waits from now on, as a run that used it is over. One that another run uses goes by
   * that run.
   *
   * @param host The host.
   * @param keepMs Milliseconds; the default ones unless given, none at 0.
   */
  async keep(host: HostConnection, keepMs: number = this.#defaultMs): Promise<void> {
    const kept = this.#kept.get(host);
    if (!kept || !this.#idle.includes(host)) return;
    kept.keepMs = keepMs;
    if (keepMs <= 0 || kept.isUnwanted) await this.#end(host);
    else this.#arm(host, keepMs);
  }

  /** Ends the hosts that wait beyond a number. */
  async trim(most: number): Promise<void> {
    await Promise.all(this.#idle.slice(most).map((host) => this.#end(host)));
  }

  /**
   * Ends the hosts that hold a model. One that is at work ends once its run is over.
   *
   * @param model The model; all hosts otherwise.
   * @returns The models whose weights are given back.
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

  /** All hosts. */
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

  /** Ends all hosts that wait. */
  async close(): Promise<void> {
    await this.trim(0);
  }

  async #end(host: HostConnection): Promise<void> {
    this.drop(host);
    await host.close();
  }

  /** Ends a host after some time, unless it is used before. */
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
