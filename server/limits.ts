/**
 * What the server accepts: all bounds in one place, shown by `GET /v1/capabilities`.
 *
 * @module
 */

/** Bounds of what a request may ask for. */
export interface Limits {
  /** Largest width and height of a picture, in pixels. */
  readonly maxSize: number;
  /** Smallest width and height of a picture, in pixels. */
  readonly minSize: number;
  /** Most denoising steps. */
  readonly maxSteps: number;
  /** Most timesteps that a scheduler may have been trained on: it lays all of them out. */
  readonly maxTrainTimesteps: number;
  /** Most pictures of one request. */
  readonly maxImages: number;
  /** Longest prompt, in UTF-16 units. */
  readonly maxPromptLength: number;
  /** Most nodes of a graph. */
  readonly maxNodes: number;
  /** Jobs that may wait; more are answered with 429. */
  readonly maxQueue: number;
  /** Starts of a job without progress, each ended by the death of the server, after which it fails. */
  readonly maxAttempts: number;
  /** Longest time from the order of a job to its end, in seconds. */
  readonly maxJobSeconds: number;
  /** Largest body of a JSON request, in bytes. */
  readonly maxBodyBytes: number;
  /** Largest artifact that may be put, in bytes. */
  readonly maxArtifactBytes: number;
  /** Finished jobs that are kept; older ones are forgotten. */
  readonly keptJobs: number;
  /** Jobs on one page of a list. */
  readonly maxPage: number;
  /** Pictures that may wait to be written as files; more are answered with 429. */
  readonly maxPictures: number;
  /** The most pixels of a picture that is written as a file. */
  readonly maxPicturePixels: number;
}

/** The bounds unless the operator says otherwise. */
export const DEFAULT_LIMITS: Limits = {
  maxSize: 2048,
  minSize: 16,
  maxSteps: 150,
  maxTrainTimesteps: 10_000,
  maxImages: 10,
  maxPromptLength: 8000,
  maxNodes: 64,
  maxQueue: 64,
  maxAttempts: 3,
  maxJobSeconds: 7 * 24 * 3600,
  maxBodyBytes: 1 << 20,
  maxArtifactBytes: 1 << 29,
  keptJobs: 1000,
  maxPage: 100,
  maxPictures: 64,
  maxPicturePixels: 1 << 26,
};
