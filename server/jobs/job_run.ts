import type { JsonValue } from "../../artifacts/artifact.ts";
import { canonicalJson } from "../../artifacts/canonical_json.ts";
import { type GraphDocument, graphDocumentSchema } from "../../graph/document.ts";
import type { Job, StoredJob } from "./job.ts";

/** What a job has come to, as long as it is in flight. */
export interface JobProgress {
  /** The node that runs. */
  readonly node: string;
  /** Its stage. */
  readonly stage: string;
  /** Steps done, over all images of the node. */
  readonly step: number;
  /** Steps in all. */
  readonly steps: number;
}

/** One run, for one job or for several that ask for the same. */
export class JobRun {
  /** What the jobs share. */
  readonly key: string;
  /** What was asked for: pictures, a whole graph, or one stage. */
  readonly kind: Job["kind"];
  /** The graph. */
  readonly graph: GraphDocument;
  /** Whether denoising tells what it has come to at every step. */
  readonly previews: boolean;
  /** When states of running stages are kept. */
  readonly snapshots: StoredJob["snapshots"];
  /** States that nodes begin from, by node id. */
  readonly saved: StoredJob["saved"];
  /** Milliseconds that what it has loaded stays afterwards. */
  readonly keepAliveMs: StoredJob["keepAliveMs"];
  /** Whose turn it takes. */
  readonly client: string;
  /** The jobs, by id. A job that is cancelled leaves; the run stops when the last has left. */
  readonly jobs = new Map<string, Job>();
  /** Stops the run. */
  readonly controller = new AbortController();
  /** Whether it runs. */
  isRunning = false;
  /**
   * States of half-done nodes that the run goes on from where it begins again, by node id: ids of artifacts.
   */
  readonly snapshotIds = new Map<string, string>();
  /** What it has come to. */
  progress: JobProgress | null = null;
  /** Runs whose results the store lost although its disk has free space. */
  vainRuns = 0;
  #prompts: Map<string, string>;

  /** @param first The job that it is begun for. */
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

  /** Whether an output is a result of the graph: no other node takes from its node. */
  isResult(output: string): boolean {
    const node = output.slice(0, output.lastIndexOf("."));
    const sources = Object.values(this.graph.nodes).flatMap(({ inputs }) => Object.values(inputs));
    return !sources.some((source) => typeof source === "string" && source.startsWith(`${node}.`));
  }

  /** Prepares the run to start again. */
  reset(): void {
    this.isRunning = false;
    this.progress = null;
    this.#prompts = promptsOf(this.graph);
  }

  /** The ids of the artifacts that the run needs: those that the graph names, and states to go on from. */
  get needed(): string[] {
    return [...this.#given, ...Object.values(this.saved ?? {}), ...this.snapshotIds.values()];
  }

  get #given(): string[] {
    return Object.values(this.graph.nodes).flatMap(({ inputs }) => Object.values(inputs))
      .flatMap((source) => typeof source === "object" && "artifact" in source ? [source.artifact] : []);
  }

  /** Whether another run is about to make something that this one needs too, and will find in the store then. */
  shouldWaitFor(other: JobRun): boolean {
    const theirs = new Set(other.#prompts.values());
    return this.#prompts.values().some((prompt) => theirs.has(prompt));
  }

  /** These nodes alone will run. Others must not wait for one that guidance, being off, leaves out. */
  planned(nodes: readonly string[]): void {
    for (const node of [...this.#prompts.keys()]) if (!nodes.includes(node)) this.#prompts.delete(node);
  }

  /** A node is done: nobody needs to wait for it any more. */
  nodeDone(node: string): void {
    this.#prompts.delete(node);
  }
}

/** The nodes without inputs, by id. Runs with the same prompt do the same work there. */
function promptsOf({ nodes }: GraphDocument): Map<string, string> {
  const sources = Object.entries(nodes).filter(([, { inputs }]) => Object.keys(inputs).length === 0);
  return new Map(
    sources.map(([id, { stage, parameters }]) => [id, canonicalJson({ stage, parameters } as JsonValue)]),
  );
}
