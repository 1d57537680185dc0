/**
 * The soak's own account of a server: which jobs it accepted, how they ended, which statuses it answered, and
 * whether equal orders gave equal pictures.
 *
 * @module
 */

import { z } from "zod";

/** A job, as far as the account looks at it. */
export const jobSchema = z.object({
  id: z.string(),
  status: z.enum(["queued", "running", "completed", "failed", "cancelled"]),
  error: z.object({ code: z.string().nullish(), message: z.string() }).nullable(),
  images: z.array(z.object({ url: z.string() })),
});

/** A job, as far as the account looks at it. */
export type SeenJob = z.infer<typeof jobSchema>;

/** When something happened: before the disk was full, meanwhile, or afterwards. */
export type Phase = "before" | "full" | "after";

/** An accepted job that is not known to have ended. */
export interface OpenJob {
  readonly id: string;
  /** The name of the order: equal orders have equal pictures. */
  readonly order: string;
  /** Whether the order set a deadline that it may miss. */
  readonly mayBeLate: boolean;
  /** Whether a client asked to cancel it. */
  isCancelled: boolean;
  /** Whether a client follows its events. */
  isFollowed: boolean;
}

/** The account of one soak. */
export class Account {
  /** Jobs that were accepted and are not known to have ended. */
  readonly open: Map<string, OpenJob> = new Map();
  /** How many requests of each kind were answered with each status. */
  readonly statuses: Map<string, number> = new Map();
  /** Jobs by how they ended. */
  readonly ended: Record<"completed" | "failed" | "cancelled", number> = {
    completed: 0,
    failed: 0,
    cancelled: 0,
  };
  /** Pictures that were compared with an equal order's of the time before the disk was full, by phase. */
  readonly compared: Record<Phase, number> = { before: 0, full: 0, after: 0 };
  /** Jobs that were accepted. */
  accepted = 0;
  /** Pictures that were fetched. */
  pictures = 0;
  /** Clients that left before their answer. */
  left = 0;
  /** The first faults, a sentence each. */
  readonly faults: string[] = [];
  /** All faults. */
  faultCount = 0;
  #hashes = new Map<string, string>();

  /** Orders that have a picture to compare with. */
  get known(): readonly string[] {
    return [...this.#hashes.keys()];
  }

  /** Counts a fault. */
  fault(message: string): void {
    this.faultCount += 1;
    if (this.faults.length < 50) this.faults.push(`${new Date().toISOString()} ${message}`);
  }

  /** Counts an answer. */
  answered(status: number): void {
    const key = String(status);
    this.statuses.set(key, (this.statuses.get(key) ?? 0) + 1);
  }

  /** Enters a job that was accepted. */
  accept(id: string, order: string, mayBeLate: boolean): OpenJob {
    this.accepted += 1;
    const job = { id, order, mayBeLate, isCancelled: false, isFollowed: false };
    this.open.set(id, job);
    return job;
  }

  /**
   * Enters how a job stands. A job that was entered as ended before is not counted again.
   *
   * @returns Whether it has a picture that is to be compared now.
   */
  stands(job: OpenJob, { status, error }: Pick<SeenJob, "status" | "error">): boolean {
    if (status === "queued" || status === "running" || !this.open.delete(job.id)) return false;
    this.ended[status] += 1;
    if (status === "cancelled" && !job.isCancelled) this.fault(`${job.id} was cancelled, and nobody asked`);
    if (status === "failed" && !(job.mayBeLate && error?.code === "deadline_exceeded")) {
      this.fault(`${job.id} failed: ${error?.code} ${error?.message}`);
    }
    return status === "completed";
  }

  /** Compares a picture with the one that the same order had before the disk was full, or remembers it. */
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
