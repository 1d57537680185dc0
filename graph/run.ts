// This module is browser compatible.

/**
 * Running a graph: checks everything first, then runs what has not been made before, and tells what happens.
 *
 * @module
 */

import type { Artifact } from "../artifacts/artifact.ts";
import { MemoryStore } from "../artifacts/store/memory_store.ts";
import type { RunStore } from "../artifacts/store/store.ts";
import type { StageRegistry } from "../stages/registry.ts";
import { type CheckpointPolicy, DEFAULT_CHECKPOINTS } from "./checkpoints.ts";
import type { RunEvent } from "./events.ts";
import type { Executor } from "./executors/executor.ts";
import { GivenArtifacts } from "./given_artifacts.ts";
import type { KeyOptions } from "./node_key.ts";
import { checkContext, type GraphPlan, planGraph } from "./plan.ts";
import { type Placement, placeNodes } from "./placement.ts";
import { describeOrigin, type Provenance } from "./provenance.ts";
import { NodeRunner } from "./node_runner.ts";
import { RunReporter } from "./run_reporter.ts";

/** A file that a graph names, read. */
export interface ReadFile {
  /** What it holds. */
  readonly artifact: Artifact;
  /** How it came to be, where the file tells. */
  readonly provenance?: Provenance | undefined;
}

/** What a run needs and may use. */
export interface RunOptions extends KeyOptions {
  /** The stages that the graph may name. */
  readonly registry: StageRegistry;
  /** Where nodes run; the first is the default for nodes that name none. */
  readonly executors: readonly [Executor, ...Executor[]];
  /** Which executor runs a node, by node id or stage name; counts above what the graph says. */
  readonly placement?: Placement | undefined;
  /** Keeps what is made, and knows what was made before. Default is one that is forgotten after the run. */
  readonly store?: RunStore | undefined;
  /**
   * When states of running stages are kept, to go on from after an interruption; `false` keeps none.
   *
   * @default {{ everyMs: 5000 }}
   */
  readonly checkpoints?: CheckpointPolicy | false | undefined;
  /**
   * Whether denoising reports what the pictures have come to at every step.
   *
   * @default {false}
   */
  readonly previews?: boolean | undefined;
  /** Reads an artifact that the graph names by `{"file": …}`; a graph that names files is refused without it. */
  readonly readFile?: ((path: string) => Promise<ReadFile>) | undefined;
  /** Takes the events, in order. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
  /** Stops the run at the next step. */
  readonly signal?: AbortSignal | undefined;
  /** Runs this node and what it depends on, nothing else. */
  readonly until?: string | undefined;
  /** Outputs to give besides those of the last nodes: `denoise.latents`. Those that do not run are left out. */
  readonly outputs?: readonly string[] | undefined;
}

/** An artifact that a run made or found in the store. */
export interface MadeArtifact {
  /** SHA-256 of its content. */
  readonly id: string;
  /** The artifact. */
  readonly artifact: Artifact;
  /** How it came to be. */
  readonly provenance: Provenance;
}

/**
 * What a run made: the artifacts of the nodes from which no other node takes, and of `outputs`, by `node.port`.
 */
export type RunResult = ReadonlyMap<string, MadeArtifact>;

/**
 * Runs a graph. Every fault that can be found without weights is found before any weight is read. A node whose result is
 * in the store does not run; of what is in the store, only what is needed is read.
 *
 * @param document The graph document.
 * @param options What the run needs.
 * @returns The artifacts of the last nodes and of `outputs`.
 * @throws {GraphError} if the graph is faulty.
 * @throws what a stage throws, or the signal's reason.
 */
export async function runGraph(document: unknown, options: RunOptions): Promise<RunResult> {
  const { registry, until, store = new MemoryStore(), signal = new AbortController().signal } = options;
  const reporter = new RunReporter(options.onEvent);
  try {
    // 1. Check the document, the parameters, the executors, and the files that it names.
    const plan = planGraph(document, registry, until === undefined ? {} : { until });
    const executors = placeNodes(plan, options.executors, options.placement);
    const given = await GivenArtifacts.read(plan, store, options.readFile, reporter);
    for (const node of plan.nodes) {
      signal.throwIfAborted();
      await node.stage.check?.(checkContext(node, options.models));
    }

    // 2. Run node after node, but for those whose results are known.
    const { checkpoints = DEFAULT_CHECKPOINTS, previews = false } = options;
    const runner = new NodeRunner({
      plan,
      given,
      store,
      executors,
      reporter,
      signal,
      checkpoints,
      previews,
      keys: options,
    });
    for (const node of plan.nodes) await runner.settle(node);

    // 3. Give what was asked for, each artifact read and held against its id.
    const made = new Map<string, MadeArtifact>();
    for (const output of wantedOutputs(plan, options)) {
      const { id, artifact } = await runner.artifact(output);
      made.set(output, { id, artifact, provenance: describeOrigin(await runner.origin(output)) });
    }
    reporter.done();
    return made;
  } catch (error) {
    reporter.fail(error, signal);
    throw error;
  }
}

/** The outputs that a run gives. */
function wantedOutputs({ nodes }: GraphPlan, { outputs = [] }: RunOptions): string[] {
  const all = nodes.flatMap(({ id, stage }) => Object.keys(stage.outputs).map((port) => `${id}.${port}`));
  const taken = new Set(nodes.flatMap(({ inputs }) => Object.values(inputs)));
  const last = nodes.filter(({ id, stage }) =>
    Object.keys(stage.outputs).every((port) => !taken.has(`${id}.${port}`))
  ).map(({ id }) => id);
  return all.filter((output) =>
    outputs.includes(output) || last.includes(output.slice(0, output.lastIndexOf(".")))
  );
}
