// This module is browser compatible.

/**
 * Running a graph: checks everything first, then runs node after node and tells what happens.
 *
 * @module
 */

import { type Artifact, ArtifactError } from "../artifacts/artifact.ts";
import { artifactId } from "../artifacts/artifact_file.ts";
import type { Models } from "../models/models.ts";
import type { StageRegistry } from "../stages/registry.ts";
import type { GraphInput } from "./document.ts";
import type { RunEvent, StageReport } from "./events.ts";
import type { Executor, StageResponse } from "./executors/executor.ts";
import { type GraphPlan, planGraph, type PlannedNode } from "./plan.ts";

/** What a run needs and may use. */
export interface RunOptions {
  /** The stages that the graph may name. */
  readonly registry: StageRegistry;
  /** Opens checkpoints, for the checks that come before any stage runs. */
  readonly models: Models;
  /** Where nodes run; the first is the default for nodes that name none. */
  readonly executors: readonly [Executor, ...Executor[]];
  /** Reads an artifact that the graph names by `{"file": …}`; a graph that names files is refused without it. */
  readonly readFile?: (path: string) => Promise<Artifact>;
  /** Takes the events, in order. */
  readonly onEvent?: (event: RunEvent) => void;
  /** Stops the run at the next step. */
  readonly signal?: AbortSignal;
  /** Runs this node and what it depends on, nothing else. */
  readonly until?: string;
}

/** An artifact that a run made, with its id. */
export interface MadeArtifact {
  /** SHA-256 of its content. */
  readonly id: string;
  /** The artifact. */
  readonly artifact: Artifact;
}

/** What a run made: the artifacts of all output ports, by `node.port`. */
export type RunResult = ReadonlyMap<string, MadeArtifact>;

/**
 * Runs a graph. Every fault that can be found without weights is found before any weight is read.
 *
 * @param document The graph document.
 * @param options What the run needs.
 * @returns The artifacts of all output ports.
 * @throws {GraphError} if the graph is faulty.
 * @throws what a stage throws, or the signal's reason.
 */
export async function runGraph(document: unknown, options: RunOptions): Promise<RunResult> {
  const run = new Run(options);
  try {
    // 1. Check the document, the parameters and the files that it names.
    const { until } = options;
    const plan = planGraph(document, options.registry, until === undefined ? {} : { until });
    const files = await run.readFiles(plan);
    for (const node of plan.nodes) {
      await node.stage.check?.({ parameters: node.parameters, models: options.models });
    }
    // 2. Run node after node.
    const made = new Map<string, MadeArtifact>();
    for (const [index, node] of plan.nodes.entries()) {
      await run.node(
        node,
        index,
        plan.nodes.length,
        (input) => typeof input === "string" ? made.get(input)!.artifact : files.get(input)!,
        made,
      );
    }
    run.emit({ type: "done", ...(run.peakBytes > 0 ? { peakBytes: run.peakBytes } : {}) });
    return made;
  } catch (error) {
    run.fail(error);
    throw error;
  }
}

type WithoutTime<E> = E extends unknown ? Omit<E, "elapsedMs"> : never;

/** One run: its clock, its events, its peak. */
class Run {
  /** Largest resident size that any stage reported. */
  peakBytes = 0;
  #options: RunOptions;
  #signal: AbortSignal;
  #started = performance.now();
  #current: string | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#signal = options.signal ?? new AbortController().signal;
  }

  emit(event: WithoutTime<RunEvent>): void {
    this.#options.onEvent?.({ ...event, elapsedMs: performance.now() - this.#started } as RunEvent);
  }

  fail(error: unknown): void {
    if (this.#signal.aborted) return this.emit({ type: "cancelled" });
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    this.emit({ type: "failed", error: name, message, ...(this.#current ? { node: this.#current } : {}) });
  }

  /** Reads the files that the graph names and holds them against the ports that they are for. */
  async readFiles(plan: GraphPlan): Promise<Map<GraphInput, Artifact>> {
    const files = new Map<GraphInput, Artifact>();
    for (const node of plan.nodes) {
      for (const [port, input] of Object.entries(node.inputs)) {
        if (typeof input === "string") continue;
        const artifact = await this.#readInput(input);
        const expected = node.stage.inputs[port]!.kind;
        if (artifact.kind !== expected) {
          throw new ArtifactError(
            `Cannot use ${
              describe(input)
            } as input "${port}" of "${node.id}" must be ${expected}: it holds ${artifact.kind}`,
          );
        }
        files.set(input, artifact);
      }
    }
    return files;
  }

  #readInput(input: Exclude<GraphInput, string>): Promise<Artifact> {
    const { readFile } = this.#options;
    if ("file" in input && readFile) return readFile(input.file);
    throw new ArtifactError(`Cannot read ${describe(input)} as nothing here reads it`);
  }

  /** Runs one node and keeps what it made. */
  async node(
    node: PlannedNode,
    nodeIndex: number,
    nodes: number,
    source: (input: GraphInput) => Artifact,
    made: Map<string, MadeArtifact>,
  ): Promise<void> {
    this.#signal.throwIfAborted();
    this.#current = node.id;
    const of = { node: node.id, stage: node.stage.name, nodeIndex, nodes };
    const started = performance.now();
    this.emit({ type: "stage:start", ...of });
    const { outputs, memory } = await this.#execute(
      node,
      Object.fromEntries(Object.entries(node.inputs).map(([port, input]) => [port, source(input)])),
      (report) => this.emit({ ...report, ...of } as WithoutTime<RunEvent>),
    );
    for (const [port, artifact] of Object.entries(outputs)) {
      const id = await artifactId(artifact);
      made.set(`${node.id}.${port}`, { id, artifact });
      this.emit({ type: "artifact", ...of, port, id, kind: artifact.kind });
    }
    this.peakBytes = Math.max(this.peakBytes, memory?.peak ?? 0);
    this.emit({ type: "stage:end", ...of, ms: performance.now() - started, ...(memory ? { memory } : {}) });
    this.#current = undefined;
  }

  #execute(
    node: PlannedNode,
    inputs: Record<string, Artifact>,
    report: (event: StageReport) => void,
  ): Promise<StageResponse> {
    const { executors } = this.#options;
    const name = node.executor ?? executors[0].name;
    const executor = executors.find((candidate) => candidate.name === name);
    if (!executor) {
      throw new RangeError(
        `Cannot run "${node.id}" as its executor must be one of ${
          executors.map((candidate) => candidate.name).join(", ")
        }: current value is "${name}"`,
      );
    }
    return executor.execute({ node, inputs }, { signal: this.#signal, report });
  }
}

/** How an input is named in errors. */
function describe(input: Exclude<GraphInput, string>): string {
  return "file" in input ? input.file : `artifact ${input.artifact}`;
}
