/**
 * Prometheus metrics.
 *
 * @module
 */

import { memoryUsage } from "node:process";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { RunEvent } from "../graph/events.ts";
import type { WarmHost } from "../graph/hosts/warm_hosts.ts";
import type { QueueDepth } from "../queue/queue_executor.ts";
import { residentBytesOf } from "../runtime/memory.ts";
import { EventLoopWatch } from "./event_loop_watch.ts";
import type { Job } from "./jobs/job.ts";
import type { Jobs } from "./jobs/jobs.ts";

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);

/** Collects the server's metrics. */
export class Metrics {
  #registry = new Registry();
  #watch: EventLoopWatch;
  #requests = new Counter({
    name: "pixstage_http_requests_total",
    help: "Requests answered.",
    labelNames: ["method", "route", "status"],
    registers: [this.#registry],
  });
  #seconds = new Histogram({
    name: "pixstage_http_request_duration_seconds",
    help: "Seconds until the response headers were sent.",
    labelNames: ["route"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [this.#registry],
  });
  #jobs = new Counter({
    name: "pixstage_jobs_total",
    help: "Finished jobs.",
    labelNames: ["kind", "status"],
    registers: [this.#registry],
  });
  #stages = new Histogram({
    name: "pixstage_stage_duration_seconds",
    help: "Duration of stages in seconds.",
    labelNames: ["stage"],
    buckets: [0.01, 0.05, 0.2, 1, 5, 20, 60, 300],
    registers: [this.#registry],
  });
  #cached = new Counter({
    name: "pixstage_stages_cached_total",
    help: "Stages whose results were found in the store.",
    labelNames: ["stage"],
    registers: [this.#registry],
  });
  #steps = new Counter({
    name: "pixstage_steps_total",
    help: "Steps taken.",
    labelNames: ["stage"],
    registers: [this.#registry],
  });
  #lag = new Histogram({
    name: "pixstage_event_loop_lag_seconds",
    help: "Delay of the event loop in seconds.",
    buckets: [0.001, 0.005, 0.02, 0.05, 0.1, 0.5],
    registers: [this.#registry],
  });

  constructor() {
    new Gauge({
      name: "process_resident_memory_bytes",
      help: "Resident memory.",
      registers: [this.#registry],
      collect() {
        this.set(memoryUsage.rss());
      },
    });
    const watch = this.#watch = new EventLoopWatch((seconds) => this.#lag.observe(seconds));
    new Gauge({
      name: "pixstage_event_loop_lag_max_seconds",
      help: "Longest delay of the event loop since the last scrape, in seconds.",
      registers: [this.#registry],
      collect() {
        const delays = watch.take();
        this.set(delays.longest);
        busiest.set(delays.busiest);
      },
    });
    const busiest = new Gauge({
      name: "pixstage_event_loop_busy_max_seconds",
      help:
        "Most processor time of the event loop during one delay since the last scrape, in seconds (Linux).",
      registers: [this.#registry],
    });
  }

  /** Adds the queue's metrics. */
  watch(jobs: Jobs): void {
    const gauge = (name: string, help: string, value: () => number): void => {
      new Gauge({
        name,
        help,
        registers: [this.#registry],
        collect() {
          this.set(value());
        },
      });
    };
    gauge("pixstage_jobs_waiting", "Waiting jobs.", () => jobs.waiting);
    gauge("pixstage_jobs_running", "Active runs.", () => jobs.running);
  }

  /** Adds the metrics of the processes that run stages. */
  watchHosts(look: () => readonly WarmHost[]): void {
    new Gauge({
      name: "pixstage_hosts",
      help: "Processes that run stages or wait for stages to run.",
      labelNames: ["state"],
      registers: [this.#registry],
      collect() {
        const busy = look().filter(({ isBusy }) => isBusy).length;
        this.set({ state: "busy" }, busy);
        this.set({ state: "idle" }, look().length - busy);
      },
    });
    new Gauge({
      name: "pixstage_hosts_resident_memory_bytes",
      help: "Resident memory of all stage processes in bytes (Linux).",
      registers: [this.#registry],
      collect() {
        this.set(look().reduce((sum, { pid }) => sum + (pid && residentBytesOf(pid) || 0), 0));
      },
    });
    new Gauge({
      name: "pixstage_models_loaded",
      help: "Processes that have weights of a model in memory.",
      labelNames: ["model"],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { models } of look()) models.forEach((model) => this.inc({ model }));
      },
    });
  }

  /** Adds the metrics of the queues that workers take jobs from. */
  watchQueues(look: () => Promise<readonly QueueDepth[]>): void {
    new Gauge({
      name: "pixstage_queue_jobs",
      help: "Jobs in a workers' queue.",
      labelNames: ["queue", "state"],
      registers: [this.#registry],
      async collect() {
        for (const { queue, jobs } of await look()) {
          for (const [state, count] of Object.entries(jobs)) this.set({ queue, state }, count);
        }
      },
    });
    new Gauge({
      name: "pixstage_queue_oldest_seconds",
      help: "Age of the oldest waiting job in a workers' queue, in seconds.",
      labelNames: ["queue"],
      registers: [this.#registry],
      async collect() {
        for (const { queue, oldestSeconds } of await look()) this.set({ queue }, oldestSeconds);
      },
    });
  }

  /** Counts an answer. Unknown methods share one label, because each new label would use memory forever. */
  request(method: string, route: string, status: number, seconds: number): void {
    const named = METHODS.has(method) ? method : "other";
    this.#requests.inc({ method: named, route, status: String(status) });
    this.#seconds.observe({ route }, seconds);
  }

  /** Counts a run event. */
  event(event: RunEvent): void {
    if (event.type === "step") this.#steps.inc({ stage: event.stage });
    else if (event.type === "stage:cached") this.#cached.inc({ stage: event.stage });
    else if (event.type === "stage:end") this.#stages.observe({ stage: event.stage }, event.ms / 1000);
  }

  /** Counts a job that has ended. */
  ended({ kind, status }: Job): void {
    this.#jobs.inc({ kind, status });
  }

  /** Returns all metrics in the Prometheus text format. */
  async text(): Promise<string> {
    return await this.#registry.metrics();
  }

  /** Media type of the text format. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Stops watching the event loop. */
  close(): void {
    this.#watch.close();
  }
}
