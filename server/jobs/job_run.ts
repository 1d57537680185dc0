import type { JsonValue } from "../../artifacts/artifact.ts";
import { canonicalJson } from "../../artifacts/canonical_json.ts";
import { type GraphDocument, graphDocumentSchema } from "../../graph/document.ts";
import type { Job, StoredJob } from "./job.ts";

/** Progress of an unfinished job. */
export interface JobProgress {
  /** The running node. */
  readonly node: string;
  /** The node's stage. */
  readonly stage: string;
  /** Steps done, over all pictures of the node. */
  readonly step: number;
  /** Total steps. */
  readonly steps: number;
}

/** One run, shared by all jobs that ask for the same work. */
export class JobRun {
  /** The key that the jobs share. */
  readonly key: string;
  /** The kind of order: pictures, a whole graph, or one stage. */
  readonly kind: Job["kind"];
  /** The graph. */
  readonly graph: GraphDocument;
  /** Whether denoising reports an intermediate image at every step. */
  readonly previews: boolean;
  /** When to save snapshots of running stages. */
  readonly snapshots: StoredJob["snapshots"];
  /** Snapshots that nodes start from, by node id. */
  readonly saved: StoredJob["saved"];
  /** Milliseconds that the weights it has loaded stay in memory afterwards. */
  readonly keepAliveMs: StoredJob["keepAliveMs"];
  /** The client whose turn the run takes. */
  readonly client: string;
  /** The jobs, by id. A cancelled job leaves the run, and the run stops when the last job has left. */
  readonly jobs = new Map<string, Job>();
  /** Stops the run. */
  readonly controller = new AbortController();
  /** When the run became active, by the clock of `performance.now()`; `undefined` while it waits. */
  runningSince: number | undefined;
  /**
   * Snapshots of unfinished nodes, by node id: ids of artifacts. If the run restarts, it resumes from them.
   */
  readonly snapshotIds = new Map<string, string>();
  /** Progress of the run. */
  progress: JobProgress | null = null;
  /** Number of runs whose results the store lost although its disk has free space. */
  vainRuns = 0;
  #prompts: Map<string, string>;

  /** @param first The job that the run is created for. */
  constructor({ job, client, key, previews, snapshots, saved, keepAliveMs }: StoredJob) {
    this.key = key;
    this.kind = job.kind;
    this.graph = graphDocumentSchema.parse(job.graph);
    this.previews = previews;
    this.snapshots = snapshots;
    this.saved = saved;
    this.keepAliveMs = keepAliveMs;
    this.client = client;
    this.jobs.set(job.id, job);
    this.#prompts = promptsOf(this.graph);
  }

  /** Whether the run is active. */
  get isRunning(): boolean {
    return this.runningSince !== undefined;
  }

  /** Milliseconds since the run became active. The wall clock, which may be changed, does not affect them. */
  get elapsedMs(): number {
    return this.runningSince === undefined ? 0 : performance.now() - this.runningSince;
  }

  /** Whether an output is a result of the graph, i.e. no other node consumes an output of its node. */
  isResult(output: string): boolean {
    const node = output.slice(0, output.lastIndexOf("."));
    const sources = Object.values(this.graph.nodes).flatMap(({ inputs }) => Object.values(inputs));
    return !sources.some((source) => typeof source === "string" && source.startsWith(`${node}.`));
  }

  /** Resets the run so that it can start again. */
  reset(): void {
    this.runningSince = undefined;
    this.progress = null;
    this.#prompts = promptsOf(this.graph);
  }

  /**
   * The ids of the artifacts that the run needs: those that the graph names, and snapshots to resume from.
   */
  get needed(): string[] {
    return [...this.#given, ...Object.values(this.saved ?? {}), ...this.snapshotIds.values()];
  }

  get #given(): string[] {
    return Object.values(this.graph.nodes).flatMap(({ inputs }) => Object.values(inputs))
      .flatMap((source) => typeof source === "object" && "artifact" in source ? [source.artifact] : []);
  }

  /**
   * Whether another run is computing a result that this run also needs. This run can then read the result
   * from the store.
   */
  shouldWaitFor(other: JobRun): boolean {
    const theirs = new Set(other.#prompts.values());
    return this.#prompts.values().some((prompt) => theirs.has(prompt));
  }

  /**
   * Notes which nodes will run. Other runs must not wait for a node that is left out because guidance is off.
   */
  planned(nodes: readonly string[]): void {
    for (const node of [...this.#prompts.keys()]) if (!nodes.includes(node)) this.#prompts.delete(node);
  }

  /** Notes that a node is done, so that no other run waits for it. */
  nodeDone(node: string): void {
    this.#prompts.delete(node);
  }
}

/** Returns a key for each node without inputs, by node id. Runs with equal keys do the same work there. */
function promptsOf({ nodes }: GraphDocument): Map<string, string> {
  const sources = Object.entries(nodes).filter(([, { inputs }]) => Object.keys(inputs).length === 0);
  return new Map(
    sources.map(([id, { stage, parameters }]) => [id, canonicalJson({ stage, parameters } as JsonValue)]),
  );
}
