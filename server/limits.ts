/**
 * The bounds of what the server accepts, all in one place. `GET /v1/capabilities` shows them.
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
  /** Most pictures of one request, over all nodes that make pictures. */
  readonly maxImages: number;
  /** Most pixels of all pictures of one request together. */
  readonly maxPixels: number;
  /** Longest prompt, in UTF-16 units. */
  readonly maxPromptLength: number;
  /** Most tokens that embeddings are padded to. */
  readonly maxSequenceLength: number;
  /** Most nodes of a graph. */
  readonly maxNodes: number;
  /** Jobs that may wait, together with the orders that are being checked; more are answered with 429. */
  readonly maxQueue: number;
  /** Those of one address, so that others find a place too whatever names an address gives itself. */
  readonly maxQueuePerAddress: number;
  /** Those of one client: of one `X-Client-Id`, `user` or address. */
  readonly maxQueuePerClient: number;
  /** Starts of a job without progress, each ended by the death of the server, after which it fails. */
  readonly maxAttempts: number;
  /** Longest time from the order of a job to its end, in seconds. */
  readonly maxJobSeconds: number;
  /** Largest body of a JSON request, in bytes. */
  readonly maxBodyBytes: number;
  /** Most levels of objects and lists in the body of a JSON request. */
  readonly maxJsonDepth: number;
  /** Most values in the body of a JSON request, over all levels. */
  readonly maxJsonValues: number;
  /** Largest artifact that may be put, in bytes. */
  readonly maxArtifactBytes: number;
  /** Largest header of an artifact that may be put, in bytes: its names, shapes and metadata. */
  readonly maxHeaderBytes: number;
  /** Finished jobs that are kept; older ones are forgotten. */
  readonly keptJobs: number;
  /** Jobs that may be starred. They are kept beside the others until they are removed. */
  readonly maxStarred: number;
  /** Jobs on one page of a list. */
  readonly maxPage: number;
  /** Sessions of the Model Context Protocol at once. */
  readonly maxMcpSessions: number;
  /** Largest body of a request that carries picture files, in bytes. */
  readonly maxUploadBytes: number;
  /** Pictures that may wait to be written or read as files; more are answered with 429. */
  readonly maxPictures: number;
  /** The most pixels of a picture that is written or read as a file. */
  readonly maxPicturePixels: number;
}

/** The bounds unless the operator says otherwise. */
export const DEFAULT_LIMITS: Limits = {
  maxSize: 2048,
  minSize: 16,
  maxSteps: 150,
  maxTrainTimesteps: 10_000,
  maxImages: 10,
  maxPixels: 1 << 24,
  maxPromptLength: 8000,
  maxSequenceLength: 512,
  maxNodes: 64,
  maxQueue: 64,
  maxQueuePerAddress: 48,
  maxQueuePerClient: 32,
  maxAttempts: 3,
  maxJobSeconds: 7 * 24 * 3600,
  maxBodyBytes: 1 << 20,
  maxJsonDepth: 32,
  maxJsonValues: 12_000,
  maxArtifactBytes: 1 << 29,
  maxHeaderBytes: 1 << 17,
  keptJobs: 1000,
  maxStarred: 1000,
  maxPage: 100,
  maxMcpSessions: 64,
  maxUploadBytes: 1 << 25,
  maxPictures: 64,
  maxPicturePixels: 1 << 24,
};

/**
 * Lays an operator's bounds over the defaults. The shares of the queue follow its length unless they are
 * given.
 *
 * @param own The bounds that differ.
 */
export function limitsWith(own: Partial<Limits> = {}): Limits {
  const maxQueue = own.maxQueue ?? DEFAULT_LIMITS.maxQueue;
  return {
    ...DEFAULT_LIMITS,
    maxQueuePerAddress: Math.ceil(maxQueue * 3 / 4),
    maxQueuePerClient: Math.ceil(maxQueue / 2),
    ...own,
  };
}
