// This module is browser compatible.

/**
 * Prepares a graph: everything that can be determined, chosen or refused before any node runs.
 *
 * @module
 */

import { MemoryStore } from "../artifacts/store/memory_store.ts";
import type { RunStore } from "../artifacts/store/store.ts";
import type { ArtifactOutline } from "../artifacts/outline.ts";
import type { ErrorCode } from "../errors/error_codes.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import { PROCESS_BYTES } from "../models/memory.ts";
import type { Executor, PreparedNode } from "./executors/executor.ts";
import { GivenArtifacts } from "./graph_inputs.ts";
import { isSameWay, type MemoryPlan, planMemory, requireFit } from "./memory_plan.ts";
import { choiceFor, placeNodes } from "./placement.ts";
import { type GraphPlan, planGraph, type PlannedNode, sourceNodes, splitSource } from "./plan.ts";
import type { PrepareOptions } from "./run_options.ts";
import { RunReporter } from "./run_reporter.ts";

/** A node that will run unless its result is known. */
export interface ReadyNode extends PlannedNode {
  /** The executor that runs the node. */
  readonly where: Executor;
  /** The executor's report about the node. */
  readonly prepared: PreparedNode;
}

/** A graph with all nodes prepared. */
export interface PreparedRun {
  /** The document and its nodes, as planned. */
  readonly plan: GraphPlan;
  /** The nodes that will run, in order. Nodes whose outputs are not needed are left out. */
  readonly nodes: readonly ReadyNode[];
  /** The artifacts that the graph reads from files and from the store. */
  readonly given: GivenArtifacts;
  /** How the run uses the memory of this machine. */
  readonly memory: MemoryPlan;
  /** The store of the run. */
  readonly store: RunStore;
  /** Reports the events of the run. */
  readonly reporter: RunReporter;
  /** Stops the run when aborted. */
  readonly signal: AbortSignal;
}

/**
 * Prepares a graph. Finds every fault that can be found without weights.
 *
 * @param document The graph document.
 * @param options The options of the run.
 * @param reporter Reports the events of the run.
 * @returns The nodes, ready to run.
 * @throws {GraphError} if the graph is faulty.
 * @throws {MemoryBudgetError} if no way to run it stays within the memory limits.
 * @throws what a stage's `prepare` throws, or the signal's reason.
 */
export async function prepareRun(
  document: unknown,
  options: PrepareOptions,
  reporter: RunReporter = new RunReporter(options.onEvent),
): Promise<PreparedRun> {
  const { registry, until, store = new MemoryStore(), signal = new AbortController().signal } = options;
  const plan = planGraph(document, registry, { until });
  const executors = placeNodes(plan, options.executors, options.placement);
  const { given, nodes } = await GivenArtifacts.read(plan, store, options, reporter);

  // 1. Prepare each node on its executor, after its sources. If weights have to be downloaded, first try the
  // nodes that need none.
  const ready = new Map<string, ReadyNode>();
  const limited = options.maxMemory !== undefined || options.maxGpuMemory !== undefined;
  if (!options.isTrial && await downloads()) await tryNodes();
  await prepareNodes(false);

  // 2. Leave out the nodes that nothing needs, and choose how the others use memory.
  const { needed, memory, chosen } = planNodes();
  if (memory.stages.length > 0) reporter.emit({ type: "plan", ...memory });

  // 3. Prepare nodes again whose choice differs from the default.
  const all: ReadyNode[] = [];
  if (limited && !options.isTrial) requireFit(memory);
  for (const node of needed) {
    const choice = chosen.get(node.id);
    const [usual] = node.prepared.memory;
    if (!choice || !usual || (!limited && isSameWay(choice, usual))) {
      all.push(node);
      continue;
    }
    const parameters = node.stage.parameters.parse({ ...Object(node.parameters), ...choice.parameters });
    const other = { ...node, parameters, residency: choice.residency };
    all.push({ ...other, prepared: await prepareNode(other, node.where, choice.residency) });
  }
  return { plan, nodes: all, given, memory, store, reporter, signal };

  async function downloads(): Promise<boolean> {
    for (const node of nodes) {
      signal.throwIfAborted();
      reporter.current = node.id;
      if (await executors.get(node.id)!.downloads?.(node)) return true;
      reporter.current = undefined;
    }
    return false;
  }

  /**
   * Tries all nodes without their weights. Other environment faults, such as a hub that only serves whole
   * files, surface when the nodes are prepared.
   */
  async function tryNodes(): Promise<void> {
    try {
      await prepareNodes(true);
      if (limited) requireFit(planNodes().memory);
    } catch (error) {
      if (error instanceof PixstageError && (error.fault === "caller" || FAULTS.has(error.code))) throw error;
      signal.throwIfAborted();
    }
  }

  /** Returns the nodes that will run, and how those on this machine use its memory. */
  function planNodes() {
    const needed = neededNodes(nodes, ready, options.outputs ?? [], until);
    const local = needed.filter(({ where }) => !where.isRemote);
    const choices = local.map(({ id, stage, prepared, where }) => ({
      node: id,
      stage: stage.name,
      ...(where.startsProcesses
        ? {
          choices: prepared.memory.map((choice) => ({ ...choice, heldBytes: 0, heldGpuBytes: 0 })),
          besideBytes: PROCESS_BYTES,
        }
        : { choices: prepared.memory }),
    }));
    const { plan: memory, chosen } = planMemory(choices, options);
    return { needed, memory, chosen };
  }

  async function prepareNodes(isTrial: boolean): Promise<void> {
    for (const node of nodes) {
      signal.throwIfAborted();
      reporter.current = node.id;
      const where = executors.get(node.id)!;
      const residency = residencyOf(node);
      const prepared = await prepareNode(node, where, residency, isTrial);
      ready.set(node.id, { ...node, residency, where, prepared });
      reporter.current = undefined;
    }
  }

  async function prepareNode(
    node: PlannedNode,
    where: Executor,
    residency = residencyOf(node),
    isTrial = false,
  ): Promise<PreparedNode> {
    const inputs = Object.entries(node.inputs).map(([port, source]) => [port, outline(source)] as const);
    const { lowestPrecision } = options;
    const request = { node, inputs: Object.fromEntries(inputs), residency, lowestPrecision };
    return await where.prepare(isTrial ? { ...request, isTrial } : request, { signal });
  }

  function residencyOf(node: PlannedNode) {
    return choiceFor(node, options.residency, node.residency);
  }

  function outline(source: PlannedNode["inputs"][string]): ArtifactOutline {
    if (typeof source !== "string") return given.get(source).outline;
    const [id, port] = splitSource(source);
    return ready.get(id)!.prepared.outputs[port]!;
  }
}

/**
 * Environment faults that a second attempt does not fix: faults of a checkpoint's files, and an unreachable
 * hub.
 */
const FAULTS: ReadonlySet<ErrorCode> = new Set([
  "missing_component",
  "missing_weight",
  "weight_shape",
  "unauthorized",
  "unreachable",
  "offline",
  "memory_budget",
]);

/** Returns the outputs of a run: those of the last nodes, and those requested in addition. */
export function wantedOutputs(nodes: readonly PlannedNode[], outputs: readonly string[] = []): string[] {
  const all = nodes.flatMap(({ id, stage }) => Object.keys(stage.outputs).map((port) => `${id}.${port}`));
  const taken = new Set(nodes.flatMap(({ inputs }) => Object.values(inputs)));
  const last = new Set(
    nodes.filter(({ id, stage }) => Object.keys(stage.outputs).every((port) => !taken.has(`${id}.${port}`)))
      .map(({ id }) => id),
  );
  return all.filter((output) => outputs.includes(output) || last.has(splitSource(output)[0]));
}

/**
 * Returns the nodes whose outputs are requested, and their dependencies. An input that a node ignores is not
 * a dependency.
 */
function neededNodes(
  nodes: readonly PlannedNode[],
  ready: ReadonlyMap<string, ReadyNode>,
  outputs: readonly string[],
  until: string | undefined,
): ReadyNode[] {
  const needed = new Set<string>();
  const waiting = [
    ...wantedOutputs(nodes, outputs).map((output) => splitSource(output)[0]),
    ...(until ? [until] : []),
  ];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (needed.has(id)) continue;
    needed.add(id);
    const { inputs, prepared } = ready.get(id)!;
    const used = Object.entries(inputs).filter(([port]) => !prepared.ignores.includes(port));
    waiting.push(...sourceNodes({ inputs: Object.fromEntries(used) }));
  }
  return nodes.flatMap(({ id }) => {
    const node = ready.get(id)!;
    const used = Object.entries(node.inputs).filter(([port]) => !node.prepared.ignores.includes(port));
    return needed.has(id) ? [{ ...node, inputs: Object.fromEntries(used) }] : [];
  });
}
