// This module is browser compatible.

import type { Artifact } from "../artifacts/artifact.ts";
import { artifactId } from "../artifacts/artifact_file.ts";
import type { StageRecord } from "../artifacts/store/stage_record.ts";
import type { RunStore } from "../artifacts/store/store.ts";
import type { CheckpointPolicy } from "./checkpoints.ts";
import type { GraphInput } from "./document.ts";
import type { CheckpointRequest, Executor, IdentifiedArtifact, MadeByStage } from "./executors/executor.ts";
import type { GivenArtifacts } from "./given_artifacts.ts";
import { hashJson, type KeyOptions, type NodeKey, nodeKey } from "./node_key.ts";
import { type GraphPlan, type PlannedNode, splitSource } from "./plan.ts";
import type { Origin } from "./provenance.ts";
import type { RunReporter, UntimedEvent } from "./run_reporter.ts";

/** What the record of an interrupted node calls its state, beside the ports of its stage. */
const STATE = "interrupted";

/** What the nodes of one run need. */
export interface NodeRunnerOptions {
  /** The nodes, in order. */
  readonly plan: GraphPlan;
  /** The artifacts from outside. */
  readonly given: GivenArtifacts;
  /** Keeps what is made. */
  readonly store: RunStore;
  /** Where each node runs. */
  readonly executors: ReadonlyMap<PlannedNode, Executor>;
  /** Tells what happens. */
  readonly reporter: RunReporter;
  /** Says when to stop. */
  readonly signal: AbortSignal;
  /** When states of running stages are kept. */
  readonly checkpoints: CheckpointPolicy | false;
  /** What keys are computed with. */
  readonly keys: KeyOptions;
  /** Whether stages are to report what pictures have come to. */
  readonly previews: boolean;
}

/** What is known of a node once it has run or was found in the store. */
interface SettledNode {
  readonly record: StageRecord;
  /** Its artifacts, as far as they are at hand. */
  readonly atHand: ReadonlyMap<string, Artifact>;
}

/**
 * Runs the nodes of one run, or finds their results in the store. Artifacts are read when they are needed. One that the
 * store lost, or that is damaged, is made again.
 */
export class NodeRunner {
  #options: NodeRunnerOptions;
  #settled = new Map<string, SettledNode>();
  #hasWarned = false;

  /** @param options What the nodes need. */
  constructor(options: NodeRunnerOptions) {
    this.#options = options;
  }

  /** Finds a node's result, or runs it. All that it depends on must be settled. */
  async settle(node: PlannedNode): Promise<void> {
    const { store, reporter, signal, keys } = this.#options;
    signal.throwIfAborted();
    const inputs = Object.fromEntries(
      Object.entries(node.inputs).map(([port, from]) => [port, this.#id(from)]),
    );
    const named = await nodeKey(node, inputs, keys);
    const { key, record } = named;
    const known = await store.result(key, { onDamage: reporter.damage });
    if (!known || Object.keys(node.stage.outputs).some((port) => known.outputs[port] === undefined)) {
      return await this.#run(node, { inputs, named });
    }
    const { outputs } = known;
    this.#settled.set(node.id, { record: { ...record, outputs }, atHand: new Map() });
    this.#emit(node, { type: "stage:cached" });
    this.#emitArtifacts(node, outputs);
  }

  /** The artifact of an input or output, read and held against its id; made again where the store lost it. */
  async artifact(source: GraphInput): Promise<IdentifiedArtifact> {
    if (typeof source !== "string") return this.#options.given.get(source);
    const { store, plan, reporter } = this.#options;
    const [nodeId, port] = splitSource(source);
    const read = async (): Promise<IdentifiedArtifact | undefined> => {
      const { record, atHand } = this.#settled.get(nodeId)!;
      const id = record.outputs[port]!;
      const artifact = atHand.get(port) ?? await store.get(id, { onDamage: reporter.damage });
      return artifact && { id, artifact };
    };
    const found = await read();
    if (found) return found;
    await this.#run(plan.nodes.find(({ id }) => id === nodeId)!);
    const made = await read();
    if (made) return made;
    throw new Error(`Cannot read "${source}" as the store lost it as soon as it was made`);
  }

  /** Where the artifact of an input or output is from. */
  origin(source: GraphInput): Origin {
    if (typeof source !== "string") return this.#options.given.get(source).origin;
    const [nodeId, port] = splitSource(source);
    const { record } = this.#settled.get(nodeId)!;
    const node = this.#options.plan.nodes.find(({ id }) => id === nodeId)!;
    const inputs = Object.entries(node.inputs).map(([name, from]) => [name, this.origin(from)] as const);
    return { maker: { record, inputs: Object.fromEntries(inputs) }, port };
  }

  #id(source: GraphInput): string {
    if (typeof source !== "string") return this.#options.given.get(source).id;
    const [nodeId, port] = splitSource(source);
    return this.#settled.get(nodeId)!.record.outputs[port]!;
  }

  /** Runs a node. Its key is computed anew where an input, made again, has become another than it was. */
  async #run(
    node: PlannedNode,
    before?: { readonly inputs: Readonly<Record<string, string>>; readonly named: NodeKey },
  ): Promise<void> {
    const { store, executors, reporter, signal, keys, previews } = this.#options;
    const inputs: Record<string, IdentifiedArtifact> = {};
    for (const [port, source] of Object.entries(node.inputs)) inputs[port] = await this.artifact(source);
    const ids = Object.fromEntries(Object.entries(inputs).map(([port, { id }]) => [port, id]));
    signal.throwIfAborted();
    reporter.current = node.id;
    const started = performance.now();
    this.#emit(node, { type: "stage:start" });
    const isAsBefore = before && Object.entries(ids).every(([port, id]) => before.inputs[port] === id);
    const named = isAsBefore ? before.named : await nodeKey(node, ids, keys);
    const checkpoint = await this.#checkpoint(node, named);
    const executor = executors.get(node)!;
    const response = await executor.execute({ node, inputs }, {
      signal,
      store,
      report: (event) => this.#emit(node, event),
      checkpoint,
      previews,
    });
    const outputs: Record<string, string> = {};
    const atHand = new Map<string, Artifact>();
    for (const [port, made] of Object.entries(response.outputs)) {
      outputs[port] = await this.#keep(made);
      if ("artifact" in made) atHand.set(port, made.artifact);
    }
    const record = { ...named.record, outputs };
    this.#settled.set(node.id, { record, atHand });
    await this.#attempt(() => store.keepResult(named.key, record));
    await this.#attempt(() => checkpoint.forget(Object.values(outputs)));
    this.#emitArtifacts(node, outputs);
    const { memory } = response;
    reporter.memory(memory);
    const ms = performance.now() - started;
    this.#emit(node, { type: "stage:end", ms, executor: executor.name, ...(memory ? { memory } : {}) });
    reporter.current = undefined;
  }

  /** Keeps the states of a running node, each in place of the last, under a key that follows from the node's. */
  async #checkpoint(
    node: PlannedNode,
    { key, record }: NodeKey,
  ): Promise<CheckpointRequest & { forget(outputs: readonly string[]): Promise<void> }> {
    const { store, checkpoints, reporter } = this.#options;
    const stateKey = await hashJson({ checkpoint: key });
    const known = (await store.result(stateKey, { onDamage: reporter.damage }))?.outputs[STATE];
    const artifact = known === undefined ? undefined : await store.get(known, { onDamage: reporter.damage });
    let last = known;
    return {
      policy: checkpoints || {},
      ...(artifact && known !== undefined ? { saved: { id: known, artifact } } : {}),
      keep: async (state) => {
        const id = await this.#keep(state);
        await this.#attempt(() => store.keepResult(stateKey, { ...record, outputs: { [STATE]: id } }));
        const before = last;
        if (before !== undefined) await this.#attempt(() => this.#forgetState(before, [id]));
        last = id;
        this.#emit(node, { type: "checkpoint", id });
      },
      forget: async (outputs) => {
        if (last === undefined) return;
        await this.#forgetState(last, outputs);
        await store.removeResult(stateKey);
      },
    };
  }

  /** Removes a state that nobody needs any more, unless it is the content of something else too. */
  async #forgetState(id: string, needed: readonly string[]): Promise<void> {
    const { store } = this.#options;
    if (needed.includes(id)) return;
    if (STATE in ((await store.madeBy(id))?.outputs ?? {})) await store.delete(id);
  }

  /** Puts what was made into the store, and gives its id. */
  async #keep(made: MadeByStage): Promise<string> {
    if ("id" in made) return made.id;
    return await this.#attempt(() => this.#options.store.put(made.artifact)) ??
      await artifactId(made.artifact);
  }

  /** A store that cannot be written, being full or read-only, is told of once and does not stop the run. */
  async #attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `The store does not keep what is made: ${reason}`;
      if (!this.#hasWarned) this.#options.reporter.emit({ type: "warning", message });
      this.#hasWarned = true;
      return undefined;
    }
  }

  #emitArtifacts(node: PlannedNode, outputs: StageRecord["outputs"]): void {
    for (const [port, { kind }] of Object.entries(node.stage.outputs)) {
      this.#emit(node, { type: "artifact", port, id: outputs[port]!, kind });
    }
  }

  #emit(node: PlannedNode, event: object): void {
    const { plan, reporter } = this.#options;
    const of = {
      node: node.id,
      stage: node.stage.name,
      nodeIndex: plan.nodes.indexOf(node),
      nodes: plan.nodes.length,
    };
    reporter.emit({ ...event, ...of } as UntimedEvent);
  }
}
