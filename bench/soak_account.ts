/**
 * The soak's own record of a server: which jobs it accepted, how they ended, which statuses it returned, and
 * whether equal orders yielded equal pictures.
 *
 * @module
 */

import { z } from "zod";

/** The schema of the parts of a job that the account uses. */
export const jobSchema = z.object({
  id: z.string(),
  status: z.enum(["queued", "running", "completed", "failed", "cancelled"]),
  error: z.object({ code: z.string().nullish(), message: z.string() }).nullable(),
  images: z.array(z.object({ url: z.string() })),
});

/** The parts of a job that the account uses. */
export type SeenJob = z.infer<typeof jobSchema>;

/** When something happened: before the disk was full, while it was full, or afterwards. */
export type Phase = "before" | "full" | "after";

/** An accepted job that is not known to have ended. */
export interface OpenJob {
  readonly id: string;
  /** The name of the order; equal orders have equal pictures. */
  readonly order: string;
  /** Whether the order has a deadline that the job can miss. */
  readonly mayBeLate: boolean;
  /** Whether a client requested its cancellation. */
  isCancelled: boolean;
  /** Whether a client follows its events. */
  isFollowed: boolean;
}

/** The account of one soak. */
export class Account {
  /** Accepted jobs that are not known to have ended. */
  readonly open: Map<string, OpenJob> = new Map();
  /** The number of answers by kind of request and status. */
  readonly statuses: Map<string, number> = new Map();
  /** The number of ended jobs by final status. */
  readonly ended: Record<"completed" | "failed" | "cancelled", number> = {
    completed: 0,
    failed: 0,
    cancelled: 0,
  };
  /** The number of pictures compared with those of equal orders before the disk was full, by phase. */
  readonly compared: Record<Phase, number> = { before: 0, full: 0, after: 0 };
  /** The number of accepted jobs. */
  accepted = 0;
  /** The number of fetched pictures. */
  pictures = 0;
  /** The number of clients that disconnected before their answer. */
  left = 0;
  /** The first faults, one sentence each. */
  readonly faults: string[] = [];
  /** The number of all faults. */
  faultCount = 0;
  #hashes = new Map<string, string>();

  /** The orders that have a picture to compare with. */
  get known(): readonly string[] {
    return [...this.#hashes.keys()];
  }

  /** Records a fault. */
  fault(message: string): void {
    this.faultCount += 1;
    if (this.faults.length < 50) this.faults.push(`${new Date().toISOString()} ${message}`);
  }

  /** Counts an answer. */
  answered(status: number): void {
    const key = String(status);
    this.statuses.set(key, (this.statuses.get(key) ?? 0) + 1);
  }

  /** Records an accepted job. */
  accept(id: string, order: string, mayBeLate: boolean): OpenJob {
    this.accepted += 1;
    const job = { id, order, mayBeLate, isCancelled: false, isFollowed: false };
    this.open.set(id, job);
    return job;
  }

  /**
   * Records the status of a job. A job that is already recorded as ended is not counted again.
   *
   * @returns Whether its picture must be compared now.
   */
  stands(job: OpenJob, { status, error }: Pick<SeenJob, "status" | "error">): boolean {
    if (status === "queued" || status === "running" || !this.open.delete(job.id)) return false;
    this.ended[status] += 1;
    if (status === "cancelled" && !job.isCancelled) this.fault(`${job.id} was cancelled without a request`);
    if (status === "failed" && !(job.mayBeLate && error?.code === "deadline_exceeded")) {
      this.fault(`${job.id} failed: ${error?.code} ${error?.message}`);
    }
    return status === "completed";
  }

  /** Compares a picture with that of the same order before the disk was full, or remembers it. */
  async picture(order: string, bytes: Uint8Array<ArrayBuffer>, phase: Phase): Promise<void> {
    this.pictures += 1;
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    const first = this.#hashes.get(order);
    if (first === undefined) {
      if (phase === "before") this.#hashes.set(order, hash);
      return;
    }
    this.compared[phase] += 1;
    if (first !== hash) this.fault(`The picture of ${order} differs from the first one (${phase})`);
  }
}
