/**
 * Limits on requests, all in one place. `GET /v1/capabilities` shows them.
 *
 * @module
 */

/** Limits on requests. */
export interface Limits {
  /** Maximum width and height of a picture, in pixels. */
  readonly maxSize: number;
  /** Minimum width and height of a picture, in pixels. */
  readonly minSize: number;
  /** Maximum number of denoising steps. */
  readonly maxSteps: number;
  /** Maximum number of training timesteps of a scheduler, which allocates all of them. */
  readonly maxTrainTimesteps: number;
  /** Maximum number of pictures per request, over all nodes that make pictures. */
  readonly maxImages: number;
  /** Maximum number of pixels of all pictures of a request together. */
  readonly maxPixels: number;
  /** Maximum length of a prompt, in UTF-16 units. */
  readonly maxPromptLength: number;
  /** Maximum number of tokens that embeddings are padded to. */
  readonly maxSequenceLength: number;
  /** Maximum number of nodes in a graph. */
  readonly maxNodes: number;
  /**
   * Maximum number of waiting jobs, including orders that are being checked. The server answers further
   * orders with 429.
   */
  readonly maxQueue: number;
  /**
   * Maximum number of waiting jobs per address. It leaves places for other clients even if one address uses
   * many names.
   */
  readonly maxQueuePerAddress: number;
  /** Maximum number of waiting jobs per client: per `X-Client-Id`, `user` or address. */
  readonly maxQueuePerClient: number;
  /** Maximum number of starts without progress, each ended by the death of the server, before a job fails. */
  readonly maxAttempts: number;
  /** Maximum time to check an order before it becomes a job, in seconds. */
  readonly maxCheckSeconds: number;
  /** Maximum time from the order of a job to its end, in seconds. */
  readonly maxJobSeconds: number;
  /** Maximum body size of a JSON request, in bytes. */
  readonly maxBodyBytes: number;
  /** Maximum nesting depth of objects and lists in a JSON body. */
  readonly maxJsonDepth: number;
  /** Maximum number of values in a JSON body, over all levels. */
  readonly maxJsonValues: number;
  /** Maximum size of an uploaded artifact, in bytes. */
  readonly maxArtifactBytes: number;
  /**
   * Maximum header size of an uploaded artifact, in bytes. The header contains its names, shapes and
   * metadata.
   */
  readonly maxHeaderBytes: number;
  /** Number of finished jobs to keep. The server forgets older ones. */
  readonly keptJobs: number;
  /** Maximum number of starred jobs. They are kept in addition to the others until a user removes them. */
  readonly maxStarred: number;
  /** Maximum number of jobs per page of a list. */
  readonly maxPage: number;
  /** Maximum number of open sessions of the Model Context Protocol. */
  readonly maxMcpSessions: number;
  /** Maximum body size of a request that carries picture files, in bytes. */
  readonly maxUploadBytes: number;
  /**
   * Maximum number of pictures that wait to be encoded or decoded. The server answers further requests with
   * 429.
   */
  readonly maxPictures: number;
  /** Maximum number of pixels of a picture file to encode or decode. */
  readonly maxPicturePixels: number;
}

/** Default limits. */
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
  maxCheckSeconds: 60,
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
 * Merges an operator's limits into the defaults. The queue's limits per address and client follow its length
 * unless they are given.
 *
 * @param own The limits that differ from the defaults.
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
