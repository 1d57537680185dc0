// This module is browser compatible.

import { PixstageError } from "../../errors/pixstage_error.ts";

/** How the worker or process that ran a stage ended. */
export interface HostEnd {
  /** The signal that killed it, e.g. `SIGKILL`. */
  readonly signal?: string | undefined;
  /** The exit status of the process. */
  readonly status?: number | undefined;
  /** The error that it did not catch. */
  readonly reason?: string | undefined;
}

/** The probable causes of signals that were not sent on purpose. */
const CAUSES: Readonly<Record<string, string>> = {
  SIGKILL: ". The system does this when memory runs out",
  SIGABRT: ". A library does this when it cannot continue, e.g. because it gets no more memory or threads",
};

/**
 * The worker or process that ran a stage died. The same run can be started again and continues where it was.
 */
export class StageProcessError extends PixstageError<"host_died"> {
  override name = "StageProcessError";
  /** The stage's name. */
  readonly stage: string;
  /** The signal that killed it, if any. */
  readonly signal: string | undefined;

  /**
   * @param stage The stage's name.
   * @param end How it ended.
   */
  constructor(stage: string, { signal, status, reason }: HostEnd) {
    const how = signal
      ? `was killed by ${signal}`
      : reason
      ? `failed: ${reason}`
      : `ended with status ${status}`;
    const cause = CAUSES[signal ?? ""] ?? "";
    super(
      "host_died",
      `Cannot finish stage "${stage}": the process that ran it ${how}${cause}. ` +
        "Run it again to continue from the last snapshot",
      { details: { stage, signal: signal ?? null, status: status ?? null } },
    );
    this.stage = stage;
    this.signal = signal;
  }
}
