// This module is browser compatible.

/**
 * Runs a graph: prepares all nodes first, then runs those whose results are not known, and reports events.
 *
 * @module
 */

import type { ArtifactOutline } from "../artifacts/outline.ts";
import { NodeRunner } from "./node_runner.ts";
import { prepareRun, type ReadyNode, wantedOutputs } from "./prepared_run.ts";
import { describeOrigin } from "./provenance.ts";
import type { MadeArtifact, OutputReference, RunOptions, RunResult } from "./run_options.ts";
import { RunReporter } from "./run_reporter.ts";
import { DEFAULT_SNAPSHOTS } from "./snapshots.ts";

/**
 * Runs a graph. Finds every fault that can be found without weights before it reads any weight. A node whose
 * result is in the store does not run. Only the artifacts that are needed are read from the store.
 *
 * @param document The graph document.
 * @param options The options of the run.
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
 * Runs a graph as {@linkcode runGraph} does, but leaves the artifacts in the store. Use it in programs that
 * only pass ids on.
 *
 * @param document The graph document.
 * @param options The options of the run.
 * @returns The ids of the artifacts of the last nodes and of `outputs`.
 */
export async function executeGraph(
  document: unknown,
  options: RunOptions,
): Promise<ReadonlyMap<string, OutputReference>> {
  return await run(document, options, async (runner, outputs) => {
    const { store } = options;
    // A record can outlive its artifact. The artifact is then computed again.
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
    const prepared = await prepareRun(document, { ...options, signal }, reporter);
    const wanted = wantedOutputs(prepared.nodes, options.outputs);
    await options.onPrepared?.(outlinesOf(prepared.nodes, wanted));

    // 2. Run each node whose result is not known.
    const { snapshots = DEFAULT_SNAPSHOTS, previews = false, saved = {} } = options;
    const runner = new NodeRunner({ ...prepared, snapshots, previews, saved });
    for (const node of prepared.nodes) await runner.run(node);

    // 3. Return the requested artifacts. Each artifact that is read is checked against its id.
    const outputs = new Map<string, OutputReference>();
    for (const output of wanted) {
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

function outlinesOf(nodes: readonly ReadyNode[], outputs: readonly string[]): Map<string, ArtifactOutline> {
  const all = nodes.flatMap(({ id, prepared }) =>
    Object.entries(prepared.outputs).map(([port, outline]) => [`${id}.${port}`, outline] as const)
  );
  return new Map(all.filter(([output]) => outputs.includes(output)));
}
