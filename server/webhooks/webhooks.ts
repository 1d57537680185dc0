/**
 * Sends webhooks of finished jobs, and retries those that fail. A restarted server continues the retries.
 *
 * @module
 */

import type { Job } from "../jobs/job.ts";
import { jobImages, picturePath } from "../job_reply.ts";
import type { JobStore } from "../jobs/job_store.ts";
import type { DueWebhook } from "../jobs/webhook_table.ts";
import type { Log } from "../log.ts";
import type { PictureLinks } from "../picture_links.ts";
import { sendWebhook } from "./send.ts";
import { signatureHeaders } from "./signature.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/**
 * Milliseconds between attempts, as Standard Webhooks recommends. After the last attempt, the server gives
 * up.
 */
export const RETRY_DELAYS: readonly number[] = [
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];

/** Milliseconds between two checks for due webhooks. */
const LOOK_MS = 1000;

/** Maximum number of webhooks sent at once. */
const AT_ONCE = 8;

/** The status with which a receiver declines further attempts. */
const GONE = 410;

/** Operator settings of webhooks. */
export interface WebhookSettings {
  /** The allowed hosts: names that resolve to public addresses, or IP addresses, with or without a port. */
  readonly allow: readonly string[];
  /** The secret that signs webhooks: `whsec_` and the base64 of 24 to 64 bytes. */
  readonly secret: string;
  /**
   * Milliseconds between attempts.
   *
   * @default {nine delays from 5 seconds to a day, as Standard Webhooks recommends}
   */
  readonly delays?: readonly number[] | undefined;
}

/** Options of {@linkcode Webhooks}. */
export interface WebhooksOptions {
  /** Stores webhooks until they are sent. */
  readonly store: JobStore;
  /** The secret that signs them. */
  readonly secret: Uint8Array;
  /** Makes links to pictures for the webhook's body. */
  readonly links: PictureLinks;
  /** Milliseconds between attempts. */
  readonly delays: readonly number[];
  /** Receives an entry for each attempt. */
  readonly log: Log;
}

/** Sends webhooks. */
export class Webhooks {
  #options: WebhooksOptions;
  #sending = new Map<string, Promise<void>>();
  #isClosed = false;
  #timer: ReturnType<typeof setInterval>;

  /** @param options The store, the secret and the retry delays. */
  constructor(options: WebhooksOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.look(), LOOK_MS);
  }

  /** Sends the due webhooks. */
  look(): void {
    for (const webhook of this.#due()) {
      if (this.#sending.size >= AT_ONCE || this.#sending.has(webhook.job.id)) continue;
      const sending = this.#send(webhook).finally(() => this.#sending.delete(webhook.job.id));
      this.#sending.set(webhook.job.id, sending);
    }
  }

  /** Waits for the webhooks being sent, and sends no more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await Promise.allSettled(this.#sending.values());
  }

  /** Returns the due webhooks. If the disk cannot be read now, the next check tries again. */
  #due(): DueWebhook[] {
    const { store, log } = this.#options;
    if (this.#isClosed || !store.isOpen) return [];
    try {
      return store.dueWebhooks(Date.now() / 1000, 2 * AT_ONCE);
    } catch (error) {
      log("webhooks_not_read", { error: String(error) });
      return [];
    }
  }

  async #send({ id, url, base, attempts, job }: DueWebhook): Promise<void> {
    const { store, secret, delays, log } = this.#options;
    const body = JSON.stringify(this.#payload(job, base));
    const headers = signatureHeaders(id, Math.floor(Date.now() / 1000), body, secret);
    const { host } = new URL(url);
    let reason: string;
    try {
      const status = await sendWebhook(url, body, headers);
      if (status >= 200 && status < 300 || status === GONE) {
        log("webhook_sent", { id, job: job.id, host, status, attempts: attempts + 1 });
        return store.forgetWebhook(job.id);
      }
      reason = `The receiver answered ${status}`;
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    const delay = delays[attempts];
    log(delay === undefined ? "webhook_given_up" : "webhook_failed", {
      id,
      job: job.id,
      host,
      attempts: attempts + 1,
      reason,
    });
    if (delay === undefined) store.forgetWebhook(job.id);
    else store.postponeWebhook(job.id, attempts + 1, (Date.now() + delay) / 1000);
  }

  /** Builds the body: how the job ended, and where its pictures are. */
  #payload(job: Job, base: string): object {
    const { id, kind, status, created, started, completed, warnings, error } = job;
    const images = jobImages(job).map(({ artifact, image, width, height, seed }) => ({
      url: base +
        this.#options.links.link(picturePath(artifact, image), new URLSearchParams({ format: "png" })),
      artifact,
      image,
      width,
      height,
      seed,
    }));
    return {
      type: `job.${status}`,
      timestamp: new Date((completed ?? created) * SECOND).toISOString(),
      data: { id, kind, status, created, started, completed, warnings, error, images },
    };
  }
}
