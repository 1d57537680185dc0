// This module is browser compatible.

/**
 * Running a graph: prepares everything first, then runs what is not known yet, and reports what happens.
 *
 * @module
 */

import { NodeRunner } from "./node_runner.ts";
import { prepareRun, wantedOutputs } from "./prepared_run.ts";
import { describeOrigin } from "./provenance.ts";
import type { MadeArtifact, OutputReference, RunOptions, RunResult } from "./run_options.ts";
import { RunReporter } from "./run_reporter.ts";
import { DEFAULT_SNAPSHOTS } from "./snapshots.ts";

/**
 * Runs a graph. Every fault that can be found without weights is found before any weight is read. A node whose result is
 * in the store does not run; of the store, only artifacts that are needed are read.
 *
 * @param document The graph document.
 * @param options What the run needs.
 * @returns The artifacts of the last nodes and of `outputs`.
 * @throws {GraphError} if the graph is faulty.
 * @throws what a stage throws, or the signal's reason.
 */
export async function runGraph(document: unknown, options: RunOptions): Promise<RunResult> {
  const made = new Map<string, MadeArtifact>();
  await run(document, options, async (runner, outputs) => {
    for (const [output, { provenance }] of outputs) {
      const { id, artifact } = await runner.artifact(output);
      made.set(output, { id, artifact, provenance });
    }
  });
  return made;
}

/**
 * Runs a graph as {@linkcode runGraph} does, and leaves the artifacts in the store: for programs that hand on ids.
 *
 * @param document The graph document.
 * @param options What the run needs.
 * @returns The ids of the artifacts of the last nodes and of `outputs`.
 */
export async function executeGraph(
  document: unknown,
  options: RunOptions,
): Promise<ReadonlyMap<string, OutputReference>> {
  return await run(document, options, async (runner, outputs) => {
    const { store } = options;
    // A record may outlive its artifact: what the store lost is made again.
    for (const [output, { id }] of outputs) if (!await store?.has(id)) await runner.artifact(output);
  });
}

async function run(
  document: unknown,
  options: RunOptions,
  read: (runner: NodeRunner, outputs: ReadonlyMap<string, OutputReference>) => Promise<void>,
): Promise<ReadonlyMap<string, OutputReference>> {
  const reporter = new RunReporter(options.onEvent);
  const { signal = new AbortController().signal } = options;
  try {
    // 1. Prepare all nodes.
    const prepared = await prepareRun(document, { ...options, signal }, reporter);

    // 2. Run node after node, but for those whose results are known.
    const { snapshots = DEFAULT_SNAPSHOTS, previews = false, saved = {} } = options;
    const runner = new NodeRunner({ ...prepared, snapshots, previews, saved });
    for (const node of prepared.nodes) await runner.run(node);

    // 3. Give what was asked for, each artifact that is read held against its id.
    const outputs = new Map<string, OutputReference>();
    for (const output of wantedOutputs(prepared.nodes, options.outputs)) {
      outputs.set(output, { ...runner.reference(output), provenance: describeOrigin(runner.origin(output)) });
    }
    await read(runner, outputs);
    reporter.done();
    return outputs;
  } catch (error) {
    reporter.fail(error, signal);
    throw error;
  } finally {
    for (const executor of options.executors) await executor.runEnded?.();
  }
}
