import assert from "node:assert/strict";
import { join } from "node:path";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import type { RunEvent } from "../../graph/events.ts";
import { runGraph } from "../../graph/run.ts";
import { localRun } from "../../local.ts";
import { StageRegistry } from "../../stages/registry.ts";
import { inFolder, runCli, startCli, TINY } from "../cli/run_cli.ts";
import { numberOf } from "../graph/executors/toy_plugin.ts";
import { needing } from "../needing.ts";
import { Collector } from "../server/collector.ts";
import { ServerProcess } from "../server/server_process.ts";
import { failure, Place } from "./place.ts";
import { POSTGRES, PostgresServer, REDIS, RedisServer } from "./queue_servers.ts";
import walkStages from "./walk_plugin.ts";
import { WALK_PLUGIN, type WorkerProcess } from "./worker_process.ts";

function walk(parameters: object): object {
  return { walk: { stage: "walk", parameters } };
}

/** Calls a function at the n-th event of a type. */
function atEvent(type: RunEvent["type"], count: number, call: () => void): (event: RunEvent) => void {
  let seen = 0;
  return (event) => {
    if (event.type === type && ++seen === count) call();
  };
}

const PICTURE = ["gen", "cute cat", "--seed", "3", "--steps", "3"];
const STAGES = ["encode", "denoise", "decode"];

Deno.test(needing(REDIS, {
  name: "three workers, one per stage, make the bytes of a local run, and equal jobs run once",
  async fn() {
    await using place = await Place.open();
    const workers = await place.workers(STAGES);
    await inFolder(async (folder) => {
      const local = await runCli(folder, ...PICTURE, "--no-store", "-o", "local.png");
      assert.equal(local.status, 0, local.stderr);
      const args = ["--store", place.store, "--executor", `queue:${place.server.address}`, "--json"];
      const runs = await Promise.all(
        ["a.png", "b.png"].map((name) => runCli(folder, ...PICTURE, ...args, "-o", name)),
      );
      const wanted = await Deno.readFile(join(folder, "local.png"));
      for (const [index, { status, stdout, stderr }] of runs.entries()) {
        assert.equal(status, 0, stderr);
        assert.deepEqual(await Deno.readFile(join(folder, ["a.png", "b.png"][index]!)), wanted);
        assert.match(stdout, /"type":"(?:step|stage:cached)"[^\n]*"stage":"denoise"/);
      }
    });
    for (const [index, stage] of STAGES.entries()) {
      assert.deepEqual(workers[index]!.done().map((line) => line.stage), [stage], stage);
    }
  },
}));

Deno.test(needing(REDIS, {
  name:
    "a job whose worker is killed resumes from its newest snapshot on another worker, with the same bytes",
  async fn() {
    await using place = await Place.open();
    const [first] = await place.workers(["denoise"]);
    await place.workers(["encode"]);
    const parameters = { model: "pixstage-emoji" };
    const nodes = {
      prompt: { stage: "encode", parameters: { ...parameters, prompts: ["a red heart"] } },
      latents: {
        stage: "denoise",
        parameters: { ...parameters, seeds: ["3"], steps: 12, scheduler: "euler_a", guidanceScale: 1 },
        inputs: { embeddings: "prompt.embeddings" },
      },
    };
    const run = localRun({ threads: 1 });
    const local = await runGraph({ pixstage: 1, nodes }, { ...run, store: new MemoryStore() });
    let second: Promise<WorkerProcess[]> | undefined;
    const resumed: number[] = [];
    const kill = atEvent("checkpoint", 3, () => {
      second = place.workers(["denoise"]);
      first!.end("SIGKILL");
    });
    const made = await place.run(nodes, {
      onEvent(event) {
        kill(event);
        if (event.type === "stage:resumed") resumed.push(event.step);
      },
    });
    assert.equal(made.get("latents.latents")!.id, local.get("latents.latents")!.id);
    assert.ok(resumed.length === 1 && resumed[0]! >= 3, `It went on from ${resumed}`);
    const [other] = await second!;
    assert.equal(other!.done("denoise").length, 1);
  },
}));

Deno.test(needing(REDIS, {
  name: "SIGTERM returns a job to the queue at once, and a job waits for later workers",
  async fn() {
    await using place = await Place.open();
    const running = place.run(walk({ steps: 60, ms: 50 }), {
      patienceMs: 60_000,
      onEvent: (event) => {
        if (event.type === "step" && event.step === 5) first!.end("SIGTERM");
      },
    });
    const [first, second] = await place.walkers(2).then(async (workers) => {
      // Stop the worker that has the job.
      const has = await Promise.any(workers.map(async (worker) => {
        while (!worker.events.some(({ event }) => event === "taken")) {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        return worker;
      }));
      return [has, workers.find((worker) => worker !== has)!];
    });
    const made = await running;
    assert.equal(numberOf(made.get("walk.end")?.artifact), 1060);
    assert.equal(second!.done("walk").length, 1);
    assert.equal(first!.done("walk").length, 0);
    await first!.ended();
  },
}));

Deno.test(needing(REDIS, {
  name: "cancelling removes a waiting job, and stops a running one within a step",
  async fn() {
    await using place = await Place.open();
    const [worker] = await place.walkers(1);
    const stop = new AbortController();
    const running = place.run(walk({ steps: 1000, ms: 40 }), {
      signal: stop.signal,
      onEvent: atEvent("step", 2, () => stop.abort(new DOMException("Stopped", "AbortError"))),
    });
    await assert.rejects(running, { name: "AbortError" });
    const told = performance.now();
    await worker!.logs("stopped");
    assert.ok(performance.now() - told < 1000);
    // Two clients request the same. If one leaves, the other's job continues.
    const leave = new AbortController();
    const both = [leave.signal, new AbortController().signal].map((signal) =>
      place.run(walk({ steps: 30, ms: 40, seed: 7 }), {
        signal,
        onEvent: atEvent("step", 3, () => leave.abort(new DOMException("Stopped", "AbortError"))),
      })
    );
    const [left, stayed] = await Promise.allSettled(both);
    assert.equal(left!.status, "rejected");
    assert.ok(stayed?.status === "fulfilled", String(Object(stayed).reason));
    assert.equal(numberOf(stayed.value.get("walk.end")?.artifact), 1037);
  },
}));

Deno.test(needing(REDIS, {
  name: "restarting Redis with its append-only file loses no jobs",
  async fn() {
    const redis = await RedisServer.start();
    await using place = await Place.open(redis);
    const [worker] = await place.walkers(1);
    let restart: Promise<void> | undefined;
    const restarts = atEvent("step", 5, () => {
      restart = redis.down("SIGKILL").then(() => redis.up());
    });
    const runs = [1, 2, 3].map((seed) =>
      place.run(walk({ steps: 20, ms: 40, seed }), seed === 1 ? { onEvent: restarts } : {})
    );
    const made = await Promise.all(runs);
    await restart;
    assert.deepEqual(made.map((result) => numberOf(result.get("walk.end")?.artifact)), [1021, 1022, 1023]);
    assert.ok(worker!.done("walk").length >= 3);
  },
}));

Deno.test(needing(REDIS, {
  name: "an idle or busy worker ends within seconds of SIGTERM even if Redis is gone",
  async fn() {
    const redis = await RedisServer.start();
    await using place = await Place.open(redis);
    const [idle, busy] = await place.walkers(2);
    const running = place.run(walk({ steps: 40, ms: 50 }), { patienceMs: 60_000 }).catch(() => {});
    await Promise.any([idle, busy].map((worker) => worker!.logs("taken")));
    await redis.down("SIGKILL");
    const started = performance.now();
    await Promise.all([idle!.end("SIGTERM"), busy!.end("SIGTERM")]);
    assert.ok(performance.now() - started < 20_000, idle!.log + busy!.log);
    await redis.up();
    await place.walkers(1);
    await running;
  },
}));

Deno.test(needing(REDIS, {
  name: "workers with different code or weights under one name never take each other's jobs",
  async fn() {
    await using place = await Place.open();
    // Other code: the client's version decides.
    const [old, young] = await Promise.all(
      ["1", "2"].map((version) => place.walkers(1, { WALK_VERSION: version })),
    );
    const ofVersion = (version: string) => new StageRegistry([{ ...walkStages[0]!, version }]);
    const made = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((seed) =>
        place.run(walk({ steps: 2, seed }), { registry: ofVersion(seed % 2 === 0 ? "2" : "1") })
      ),
    );
    const values = made.map((result) => numberOf(result.get("walk.end")?.artifact));
    assert.deepEqual(values, [1003, 2004, 1005, 2006, 1007, 2008]);
    assert.deepEqual([old![0]!.done("walk").length, young![0]!.done("walk").length], [3, 3]);

    // Other weights: each result comes from the weights in its record.
    const other = join(place.folder, "other");
    await new Deno.Command("cp", { args: ["-rL", TINY, other] }).output();
    const weights = join(other, "transformer/diffusion_pytorch_model.safetensors");
    const bytes = await Deno.readFile(weights);
    bytes[bytes.length - 3]! ^= 1;
    bytes[bytes.length - 1]! ^= 0x80;
    await Deno.writeFile(weights, bytes);
    await place.workers(["encode"], { models: `tiny=${TINY}` });
    for (const model of [TINY, other]) await place.workers(["denoise"], { models: `tiny=${model}` });
    const nodes = (model: string, seed: number) => ({
      prompt: { stage: "encode", parameters: { model, prompts: ["cat"] } },
      latents: {
        stage: "denoise",
        parameters: { model, width: 64, height: 64, seeds: [String(seed)], steps: 2, guidanceScale: 1 },
        inputs: { embeddings: "prompt.embeddings" },
      },
    });
    const seeds = [1, 2, 3, 4, 5, 6];
    const local = new Map<string, string>();
    const fingerprints = new Set<string>();
    for (const model of [TINY, other]) {
      for (const seed of seeds) {
        const run = { ...localRun({ threads: 1 }), store: new MemoryStore() };
        const result = await runGraph({ pixstage: 1, nodes: nodes(model, seed) }, run);
        const { id, provenance } = result.get("latents.latents")!;
        const fingerprint = transformerOf(provenance);
        fingerprints.add(fingerprint);
        local.set(`${fingerprint} ${seed}`, id);
      }
    }
    assert.equal(fingerprints.size, 2);
    const results = await Promise.all(seeds.map((seed) => place.run(nodes("tiny", seed))));
    for (const [index, result] of results.entries()) {
      const { id, provenance } = result.get("latents.latents")!;
      assert.equal(id, local.get(`${transformerOf(provenance)} ${seeds[index]}`));
    }
  },
}));

/** Returns the fingerprint of the transformer that made latents. */
function transformerOf(provenance: unknown): string {
  const text = JSON.stringify(provenance);
  return /"component":"transformer","fingerprint":"([^"]+)"/.exec(text)![1]!;
}

Deno.test(needing(REDIS, {
  name:
    "errors keep code and fault, jobs are retried after environment errors, and jobs that kill workers are given up",
  async fn() {
    await using place = await Place.open();
    const [worker] = await place.walkers(1);
    const fails = (when: string) => failure(place.run({ fail: { stage: "fail", parameters: { when } } }));
    for (const when of ["prepare", "caller"]) {
      const { code, fault, field, message } = await fails(when);
      assert.deepEqual([code, fault, field], ["out_of_range", "caller", "when"]);
      assert.equal(message, "The sharpness must be at most 1");
    }
    const bug = await fails("bug");
    assert.deepEqual([bug.code, bug.fault], ["internal", "bug"]);
    const tries = (): number => worker!.events.filter(({ event }) => event === "failed").length;
    const before = tries();
    const full = await fails("environment");
    assert.deepEqual([full.code, full.fault], ["disk_full", "environment"]);
    assert.equal(tries() - before, 3);

    // Three workers die from the job, and the fourth refuses it.
    const more = await place.walkers(3);
    const { code, message } = await failure(place.run({ poison: { stage: "poison", parameters: {} } }));
    assert.equal(code, "too_many_attempts");
    assert.match(message, /3 workers died at the same point/);
    assert.equal([worker!, ...more].filter((one) => !one.isOver).length, 1);
  },
}));

Deno.test(needing(REDIS, {
  name: "--drain ends when no job waits, and missing queues and workers are reported",
  async fn() {
    await using place = await Place.open();
    const running = [1, 2, 3].map((seed) =>
      place.run(walk({ steps: 2, ms: 20, seed }), { patienceMs: 60_000 })
    );
    const args = ["--plugin", WALK_PLUGIN, "--drain"];
    const [worker] = await place.workers(["walk"], { args });
    assert.equal((await worker!.ended()).code, 0, worker!.log);
    const made = await Promise.all(running);
    assert.deepEqual(made.map((result) => numberOf(result.get("walk.end")?.artifact)), [1003, 1004, 1005]);

    const { code, message } = await failure(place.run(walk({ steps: 2, seed: 9 }), { patienceMs: 2000 }));
    assert.equal(code, "unreachable");
    assert.match(message, /No worker at queue:\S+ runs the stage "walk" in version 1: start one/);

    await inFolder(async (folder) => {
      const cases: [args: string[], status: number, told: RegExp][] = [
        [["--executor", "queue:redis://127.0.0.1:9"], 1, /Cannot reach the queue at 127\.0\.0\.1:9: .*Redis/],
        [["--executor", "queue:postgres://127.0.0.1:9"], 1, /Cannot reach the queue at .*PostgreSQL/],
        [["--executor", "queue:redis://u:secret@h"], 2, /PIXSTAGE_QUEUE_PASSWORD/],
        [["--executor", "queue:http://h"], 2, /address must be queue:redis/],
        [["--executor", "queue:redis://h/x"], 2, /Redis database must be a number/],
        [["--executor", "queue:redis://h?speed=9"], 2, /speed/],
        [["--executor", "queue:redis://h", "--no-store"], 2, /queue without a store/],
      ];
      for (const [options, status, told] of cases) {
        const refused = await runCli(folder, ...PICTURE, ...options);
        assert.match(refused.stderr, told);
        assert.doesNotMatch(refused.stderr, /secret|\n {4}at /);
        assert.equal(refused.status, status, refused.stderr);
      }
      for (
        const [options, told] of [
          [["--queue", "queue:redis://127.0.0.1:9"], /Cannot reach the queue/],
          [["--queue", "redis://127.0.0.1:9", "--stages", "paint"], /Cannot run the stage "paint"/],
          [["--queue", "nowhere"], /address must be/],
          [[], /--queue/],
        ] as const
      ) {
        const refused = await runCli(folder, "worker", ...options);
        assert.match(refused.stderr, told);
        assert.notEqual(refused.status, 0);
      }
    });
  },
}));

Deno.test(needing(REDIS, {
  name: "a server with --queue uses workers to make its pictures",
  async fn() {
    await using place = await Place.open();
    await using collector = new Collector();
    const { env } = collector;
    const workers = await place.workers(STAGES, { env });
    const options = ["--queue", place.server.address];
    const models = ["pixstage-emoji"];
    await using server = await new ServerProcess({ store: place.store, models, options, env }).listens();
    const orders = ["cat", "dog", "sun"].map((prompt) =>
      server.order({ request: { model: "pixstage-emoji", prompts: [prompt], seeds: ["3"], steps: 2 } })
    );
    for (const { id } of await Promise.all(orders)) {
      const job = await server.ended(id);
      assert.equal(job.status, "completed", server.log);
    }
    assert.deepEqual(workers.map((worker) => worker.done().length > 0), [true, true, true]);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(
      metrics,
      /pixstage_queue_jobs\{queue="run\.denoise\.pixstage-emoji\.\w+",state="waiting"\} 0/,
    );
    assert.match(metrics, /pixstage_queue_oldest_seconds\{queue="run\.denoise\S+ 0/);

    // The remaining spans are exported at the end. The workers' spans belong to the traces of the server's
    // runs.
    await Promise.all([server.end("SIGTERM"), ...workers.map((worker) => worker.end("SIGTERM"))]);
    const runs = new Set(collector.named("run picture").map(({ traceId }) => traceId));
    const denoised = collector.named("run denoise");
    assert.ok(denoised.length >= 3);
    for (const { traceId } of denoised) assert.ok(runs.has(traceId));
  },
}));

Deno.test(needing(POSTGRES, {
  name: "PostgreSQL works like Redis: same bytes, resumed after SIGKILL, cancelled within a step",
  async fn() {
    await using place = await Place.open(await PostgresServer.start());
    const workers = await place.workers(STAGES);
    await inFolder(async (folder) => {
      const local = await runCli(folder, ...PICTURE, "--no-store", "-o", "local.png");
      assert.equal(local.status, 0, local.stderr);
      const args = ["--store", place.store, "--executor", `queue:${place.server.address}`];
      const child = startCli(folder, ...PICTURE, ...args, "-o", "queue.png");
      const { code, stderr } = await child.output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      assert.deepEqual(
        await Deno.readFile(join(folder, "queue.png")),
        await Deno.readFile(join(folder, "local.png")),
      );
    });
    await Promise.all(workers.map((worker) => worker.end("SIGTERM")));

    const [first] = await place.walkers(1);
    let second: Promise<WorkerProcess[]> | undefined;
    const resumed: number[] = [];
    const kill = atEvent("checkpoint", 4, () => {
      second = place.walkers(1);
      first!.end("SIGKILL");
    });
    const made = await place.run(walk({ steps: 20, ms: 50 }), {
      onEvent(event) {
        kill(event);
        if (event.type === "stage:resumed") resumed.push(event.step);
      },
    });
    assert.equal(numberOf(made.get("walk.end")?.artifact), 1020);
    assert.ok(resumed[0]! >= 4, String(resumed));

    const [worker] = await second!;
    const stop = new AbortController();
    const running = place.run(walk({ steps: 1000, ms: 40 }), {
      signal: stop.signal,
      onEvent: atEvent("step", 2, () => stop.abort(new DOMException("Stopped", "AbortError"))),
    });
    await assert.rejects(running, { name: "AbortError" });
    await worker!.logs("stopped");
  },
}));
