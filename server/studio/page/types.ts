/**
 * The server's replies, as far as the page uses them.
 *
 * @module
 */

import type { RunEvent } from "../../../graph/events.ts";
import type { JobReply, QueueReply, ResumeRequest } from "../../schemas/job_request.ts";

/** A job. */
export type Job = JobReply;

/** A picture of a job, with its URL. */
export type JobImage = JobReply["images"][number];

/** One picture of a job. */
export interface Picture {
  /** The job. */
  readonly job: Job;
  /** Index of the picture in the job, from 0. */
  readonly index: number;
}

/** A request to resume from a picture. */
export type Resume = Omit<ResumeRequest, "decode">;

/** An order of a job. */
export type Order =
  | { readonly request: object }
  | { readonly graph: object }
  | { readonly resume: Resume };

/** The state of the queue, and an event of a run. */
export type { QueueReply, RunEvent };

/** A model. */
export interface Model {
  readonly id: string;
  readonly family: string;
  readonly description?: string;
  readonly defaults: {
    readonly width: number;
    readonly height: number;
    readonly steps: number;
    readonly guidance_scale: number;
    readonly scheduler: string;
    readonly negative_prompt: string;
  };
}

/** A LoRA adapter. */
export interface Lora {
  readonly id: string;
  /** The models that it fits. */
  readonly models: readonly string[];
}

/** A picture file that the server has stored. */
export interface Upload {
  readonly artifact: string;
  readonly width: number;
  readonly height: number;
  /** The id of a mask that repaints its transparent part; null if it is opaque. */
  readonly transparent: string | null;
}

/** The models, adapters and limits that the server offers. */
export interface Capabilities {
  readonly models: readonly Model[];
  readonly decoders: readonly string[];
  readonly schedulers: readonly { readonly name: string; readonly short_names: readonly string[] }[];
  readonly controlnets: readonly string[];
  readonly loras: readonly Lora[];
  readonly limits: Readonly<Record<string, number>>;
}
