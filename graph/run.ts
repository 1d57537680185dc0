// This module is browser compatible.

/**
 * Running a graph: checks everything first, then runs what has not been made before, and tells what happens.
 *
 * @module
 */

import { MemoryStore } from "../artifacts/store/memory_store.ts";
import { DEFAULT_CHECKPOINTS } from "./checkpoints.ts";
import { modelsWithSignal } from "../models/models_with_signal.ts";
import { GivenArtifacts } from "./given_artifacts.ts";
import { NodeRunner } from "./node_runner.ts";
import { placeNodes } from "./placement.ts";
import { checkContext, type GraphPlan, planGraph } from "./plan.ts";
import { describeOrigin } from "./provenance.ts";
import type { MadeArtifact, RunOptions, RunResult } from "./run_options.ts";
import { RunReporter } from "./run_reporter.ts";

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
  const models = modelsWithSignal(options.models, signal);
  try {
    // 1. Check the document, the parameters, the executors, and the files that it names.
    const plan = planGraph(document, registry, until === undefined ? {} : { until });
    const executors = placeNodes(plan, options.executors, options.placement);
    const given = await GivenArtifacts.read(plan, store, options.readFile, reporter);
    for (const node of plan.nodes) {
      signal.throwIfAborted();
      await node.stage.check?.(checkContext(node, models));
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
      keys: { ...options, models },
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
