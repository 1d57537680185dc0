/**
 * The clients of the soak: the orders, streams, pictures and artifacts that they request, with cancellations
 * and disconnects, drawn from a seed.
 *
 * @module
 */

import { z } from "zod";
import { artifactId, encodeArtifact } from "../artifacts/artifact_file.ts";
import type { MersenneTwister } from "../random/mersenne_twister.ts";
import { sampleArtifact } from "../tests/artifacts/store/samples.ts";
import { sseEvents } from "../tests/server/serving.ts";
import { type Account, jobSchema, type OpenJob, type Phase } from "./soak_account.ts";

/** Number of clients, which take turns. */
const CLIENTS = 8;

/** Maximum number of requests in flight. */
const MOST_AT_ONCE = 100;

/** Number of values in a sample artifact: 80 kB. */
const ARTIFACT_SIZE = 20_000;

const SIZES = [64, 96, 128];
const STEPS = [8, 16, 24];

const imagesSchema = z.object({ data: z.array(z.object({ b64_json: z.string() })) });
const completedSchema = z.object({ b64_json: z.string() });
const errorSchema = z.object({ error: z.object({ code: z.string() }) });

/** The parts of the soak that clients need. */
export interface Surroundings {
  readonly url: string;
  readonly account: Account;
  /** The source of all random numbers. */
  readonly twister: MersenneTwister;
  /** Returns the current phase. */
  readonly phase: () => Phase;
  /** Returns whether 507 and 503 are currently valid answers. */
  readonly mayBeFull: () => boolean;
}

/** The clients of the soak. */
export class Clients {
  /** The number of requests that were skipped because too many were in flight. */
  heldBack = 0;
  #around: Surroundings;
  #underWay = new Set<Promise<void>>();
  #turn = 0;
  #orders = 0;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Lets the next client make a request. */
  next(): void {
    if (this.#underWay.size >= MOST_AT_ONCE) {
      this.heldBack += 1;
      return;
    }
    const work = this.#act(this.#draw()).catch((error: unknown) => {
      this.#around.account.fault(`A client failed: ${error instanceof Error ? error.stack : error}`);
    }).finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  /** Waits until all clients have their answers. */
  async rest(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** Checks the jobs that no client follows. */
  async look(): Promise<void> {
    for (const job of this.#around.account.open.values()) if (!job.isFollowed) await this.#look(job);
  }

  async #act(chance: number): Promise<void> {
    if (chance < 0.5) await this.#job();
    else if (chance < 0.7) await this.#image(false);
    else if (chance < 0.88) await this.#image(true);
    else if (chance < 0.96) await this.#artifact();
    else await this.#wrong();
  }

  /** Orders a job, then follows it, cancels it, or disconnects. */
  async #job(): Promise<void> {
    const { account } = this.#around;
    const { name, seed, side, steps } = this.#order("job");
    const [fate, mayBeLate, pause] = [this.#draw(), this.#draw() < 0.05, this.#draw() * 2000];
    const request = {
      ...{ model: "tiny", prompts: [`picture ${seed}`], seeds: [seed], steps },
      ...{ width: side, height: side, resolutionBinning: false },
    };
    const deadline = mayBeLate ? 1 : undefined;
    const reply = await this.#ask("/v1/jobs", { body: JSON.stringify({ request, deadline }) });
    if (reply.status !== 202) return await reply.body?.cancel();
    const job = account.accept(jobSchema.parse(await reply.json()).id, name, mayBeLate);
    if (fate < 0.15) {
      await wait(pause);
      job.isCancelled = true;
      await (await this.#ask(`/v1/jobs/${job.id}/cancel`, { body: "{}" }, [409])).body?.cancel();
    } else if (fate < 0.75) {
      job.isFollowed = true;
      // Every fifth follower leaves its stream, and the job continues without it.
      const patience = fate < 0.27 ? pause : undefined;
      await this.#left(patience, async (signal) => {
        const stream = await this.#ask(`/v1/jobs/${job.id}/events`, { signal });
        for await (const { event } of sseEvents(stream)) void event;
      });
      job.isFollowed = false;
      await this.#look(job);
    }
  }

  /** Requests a picture like OpenAI's clients; some disconnect before they have it. */
  async #image(stream: boolean): Promise<void> {
    const { account, phase } = this.#around;
    const { name, seed, side, steps } = this.#order(stream ? "stream" : "image");
    const patience = this.#draw() < 0.2 ? this.#draw() * 1000 : undefined;
    const body = JSON.stringify({ prompt: `picture ${seed}`, seed, size: `${side}x${side}`, steps, stream });
    await this.#left(patience, async (signal) => {
      const reply = await this.#ask("/v1/images/generations", { body, signal });
      if (reply.status !== 200) return await reply.body?.cancel();
      let base64: string | undefined;
      if (!stream) base64 = imagesSchema.parse(await reply.json()).data[0]?.b64_json;
      else {
        for await (const { event, data } of sseEvents(reply)) {
          if (event === "image_generation.completed") {
            base64 = completedSchema.parse(JSON.parse(data)).b64_json;
          } else if (event === "error") {
            const { code } = errorSchema.parse(JSON.parse(data)).error;
            if (code === "disk_full" && this.#around.mayBeFull()) return account.answered(507);
            return account.fault(`A stream ended with ${data}`);
          }
        }
      }
      if (base64 === undefined) return account.fault(`${name} returned no picture`);
      await account.picture(name, Uint8Array.fromBase64(base64), phase());
    });
  }

  /** Uploads an artifact and downloads it again. */
  async #artifact(): Promise<void> {
    const bytes = encodeArtifact(sampleArtifact(this.#draw(), ARTIFACT_SIZE));
    const path = `/v1/artifacts/${await artifactId(bytes)}`;
    const put = await this.#ask(path, { method: "PUT", body: bytes }, [507]);
    if (put.status === 507) {
      const { code } = errorSchema.parse(await put.json()).error;
      // The store can be full of files that were used a moment ago.
      if (code !== "store_full" && !this.#around.mayBeFull()) this.#around.account.fault(`${path}: ${code}`);
      return;
    }
    await put.body?.cancel();
    if (put.status !== 201) return;
    const got = await (await this.#ask(path)).bytes();
    if (got.length !== bytes.length || got.some((byte, index) => byte !== bytes[index])) {
      this.#around.account.fault(`${path} differs from the upload`);
    }
  }

  /** Sends a request that the server must refuse. */
  async #wrong(): Promise<void> {
    const chance = this.#draw();
    const reply = chance < 0.4
      ? await this.#ask("/v1/jobs", { body: JSON.stringify({ request: { prompts: [] } }) }, [400])
      : chance < 0.7
      ? await this.#ask(`/v1/jobs/job_${crypto.randomUUID().replaceAll("-", "")}`, {}, [404])
      : await this.#ask("/v1/images/generations", { body: `{"prompt":` }, [400]);
    await reply.body?.cancel();
    if (reply.ok) this.#around.account.fault(`${reply.url} answered ${reply.status} to an invalid request`);
  }

  /** Checks a job, and compares its picture if it has ended. */
  async #look(job: OpenJob): Promise<void> {
    const { account, phase } = this.#around;
    const reply = await this.#ask(`/v1/jobs/${job.id}`);
    if (reply.status !== 200) return account.fault(`${job.id} is lost: ${await reply.text()}`);
    const seen = jobSchema.parse(await reply.json());
    if (!account.stands(job, seen)) return;
    const picture = await this.#ask(seen.images[0]!.url);
    if (picture.status !== 200) {
      return account.fault(`A picture of ${job.id} is lost: ${await picture.text()}`);
    }
    await account.picture(job.order, await picture.bytes(), phase());
  }

  /** Sends a request, and checks that its status is one that the soak provoked. */
  async #ask(path: string, init: RequestInit = {}, provoked: readonly number[] = []): Promise<Response> {
    const { account, url, mayBeFull } = this.#around;
    const client = `client-${this.#turn++ % CLIENTS}`;
    const method = init.method ?? (init.body === undefined ? "GET" : "POST");
    const headers = { "content-type": "application/json", "x-client-id": client };
    const reply = await fetch(url + path, { ...init, method, headers });
    account.answered(reply.status);
    const isFull = reply.status === 507 || reply.status === 503;
    const isRight = reply.ok || reply.status === 429 || provoked.includes(reply.status) ||
      isFull && mayBeFull();
    if (!isRight) account.fault(`${method} ${path} answered ${reply.status}: ${await reply.clone().text()}`);
    return reply;
  }

  /** Runs work until it ends, or until the client loses patience and disconnects. */
  async #left(patience: number | undefined, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const signal = patience === undefined ? new AbortController().signal : AbortSignal.timeout(patience);
    try {
      await work(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      this.#around.account.left += 1;
    }
  }

  /** Draws an order: a new one, or a known one whose pictures can be compared. */
  #order(kind: string): { name: string; seed: number; side: number; steps: number } {
    const known = this.#around.account.known.filter((name) => name.startsWith(kind));
    const share = this.#around.phase() === "before" ? 0.25 : 0.9;
    const isAgain = this.#draw() < share && known.length > 0;
    const seed = isAgain
      ? Number(known[Math.floor(this.#draw() * known.length)]!.split(" ")[1])
      : this.#orders++;
    const side = SIZES[seed % SIZES.length]!;
    const steps = STEPS[Math.floor(seed / SIZES.length) % STEPS.length]!;
    return { name: `${kind} ${seed}`, seed, side, steps };
  }

  #draw(): number {
    return this.#around.twister.uint32() / 2 ** 32;
  }
}

async function wait(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
