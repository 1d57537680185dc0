import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { goldenPath } from "../goldens.ts";
import { sseEvents } from "./serving.ts";

const SERVER = fileURLToPath(new URL("../../server.ts", import.meta.url));
const JOBS = 10;

/** A server in a process of its own. */
class ServerProcess {
  url = "";
  #process: Deno.ChildProcess;

  constructor(store: string) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        SERVER,
        "--port",
        "0",
        "--store",
        store,
        "--model",
        `tiny=${goldenPath("checkpoints/tiny-alpha-512")}`,
        "--threads",
        "1",
      ],
      stderr: "piped",
    }).spawn();
  }

  /** Waits until it listens. */
  async listens(): Promise<void> {
    let text = "";
    const reader = this.#process.stderr.pipeThrough(new TextDecoderStream()).getReader();
    while (!this.url) {
      const { value, done } = await reader.read();
      assert(!done, `the server ended: ${text}`);
      text += value;
      this.url = /listens at (http:\S+)/.exec(text)?.[1] ?? "";
    }
    // What it writes later must be read, or it would wait for that.
    this.#drained = (async () => {
      while (!(await reader.read()).done);
    })();
  }

  #drained: Promise<void> = Promise.resolve();

  async end(signal: Deno.Signal): Promise<void> {
    this.#process.kill(signal);
    await this.#process.status;
    await this.#drained;
  }

  async post(path: string, body: unknown): Promise<Job> {
    const headers = { "content-type": "application/json" };
    const reply = await fetch(this.url + path, { method: "POST", headers, body: JSON.stringify(body) });
    const job = await reply.json();
    assert.equal(reply.status, 202, JSON.stringify(job));
    return job;
  }

  async job(id: string): Promise<Job> {
    return await (await fetch(`${this.url}/v1/jobs/${id}`)).json();
  }

  async ended(id: string): Promise<Job> {
    for await (const { event } of sseEvents(await fetch(`${this.url}/v1/jobs/${id}/events`))) void event;
    return await this.job(id);
  }
}

interface Job {
  readonly id: string;
  readonly status: string;
  readonly artifacts: Record<string, { id: string }>;
}

function request(index: number): object {
  // The first lasts long enough to be worth a checkpoint.
  const size = index === 0 ? { width: 256, height: 256, steps: 150 } : { width: 128, height: 128, steps: 8 };
  return { request: { model: "tiny", prompts: [`picture ${index}`], seeds: [index], ...size } };
}

Deno.test(`a server killed in the midst of ${JOBS} jobs ends all of them when it starts again, each as undisturbed`, async () => {
  const [store, other] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  const undisturbed = new ServerProcess(other);
  let server = new ServerProcess(store);
  try {
    await Promise.all([undisturbed.listens(), server.listens()]);
    const jobs: Job[] = [];
    for (let index = 0; index < JOBS; index++) jobs.push(await server.post("/v1/jobs", request(index)));

    // Killed three times: in the midst of denoising, behind a checkpoint, then wherever it is.
    let isKept = false;
    for await (const { event } of sseEvents(await fetch(`${server.url}/v1/jobs/${jobs[0]!.id}/events`))) {
      if (event === "checkpoint") isKept = true;
      if (isKept && event === "step") break;
    }
    assert(isKept, "the first job was over before a checkpoint was kept");
    for (const delay of [0, 2500, 1200]) {
      await new Promise((resolve) => setTimeout(resolve, delay));
      await server.end("SIGKILL");
      server = new ServerProcess(store);
      await server.listens();
    }

    const resumed: number[] = [];
    for await (
      const { event, data } of sseEvents(await fetch(`${server.url}/v1/jobs/${jobs[0]!.id}/events`))
    ) {
      if (event === "stage:resumed") resumed.push(JSON.parse(data).step);
    }
    assert(resumed[0]! > 5, `the first job began anew: ${resumed}`);
    for (const [index, { id }] of jobs.entries()) {
      const over = await server.ended(id);
      assert.equal(over.status, "completed", JSON.stringify(over));
      const alone = await undisturbed.ended((await undisturbed.post("/v1/jobs", request(index))).id);
      assert.equal(
        over.artifacts["decode.image"]!.id,
        alone.artifacts["decode.image"]!.id,
        `picture ${index}`,
      );
    }
  } finally {
    await Promise.all([server.end("SIGTERM"), undisturbed.end("SIGTERM")]);
    for (const folder of [store, other]) await Deno.remove(folder, { recursive: true });
  }
});
