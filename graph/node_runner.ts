// This module is browser compatible.

import { PixstageError } from "../errors/pixstage_error.ts";
import type { Artifact } from "../artifacts/artifact.ts";
import { artifactId } from "../artifacts/artifact_file.ts";
import { hashJson } from "../artifacts/canonical_json.ts";
import type { StageRecord } from "../artifacts/store/stage_record.ts";
import type { GraphInput } from "./document.ts";
import type { IdentifiedArtifact, MadeByStage, SnapshotRequest } from "./executors/executor.ts";
import type { Maker, Origin } from "./lineage.ts";
import { type NodeKey, nodeKey } from "./node_key.ts";
import { splitSource } from "./plan.ts";
import type { PreparedRun, ReadyNode } from "./prepared_run.ts";
import { RowCache } from "./row_cache.ts";
import type { OutputReference } from "./run_options.ts";
import type { UntimedEvent } from "./run_reporter.ts";
import type { SnapshotPolicy } from "./snapshots.ts";

/** Name of an interrupted node's state in its record, next to the ports of its stage. */
const STATE = "interrupted";

/** The resources of the nodes of one run. */
export interface NodeRunnerOptions extends Omit<PreparedRun, "memory"> {
  /** When to store snapshots of running stages. */
  readonly snapshots: SnapshotPolicy | false;
  /** Whether stages report intermediate images. */
  readonly previews: boolean;
  /** Snapshots that nodes start from, by node id: ids of artifacts in the store. */
  readonly saved: Readonly<Record<string, string>>;
}

/** A node that has run, or whose result was in the store. */
interface FinishedNode {
  readonly record: StageRecord;
  /** The artifacts of the node that are in memory. */
  readonly atHand: ReadonlyMap<string, Artifact>;
}

/**
 * Runs the nodes of one run, or finds their results in the store. Artifacts are read when they are needed. An
 * artifact that is damaged or missing from the store is computed again.
 */
export class NodeRunner {
  #options: NodeRunnerOptions;
  #finished = new Map<string, FinishedNode>();
  #makers = new Map<string, Maker>();
  #warned = new Set<string>();
  #isStoreReported = false;
  #rows: RowCache;

  /** @param options What the nodes need. */
  constructor(options: NodeRunnerOptions) {
    this.#options = options;
    this.#rows = new RowCache(options.store, options.reporter.damage, (made) => this.#keep(made));
  }

  /** Finds a node's result, or runs the node. All its dependencies must be finished. */
  async run(node: ReadyNode): Promise<void> {
    const { signal, reporter } = this.#options;
    signal.throwIfAborted();
    reporter.current = node.id;
    for (const message of node.prepared.warnings) this.#warn(message, node);
    const inputs = Object.fromEntries(
      Object.entries(node.inputs).map(([port, from]) => [port, this.#id(from)]),
    );
    const named = await nodeKey(node, node.prepared, inputs);
    if (!await this.#find(node, named)) await this.#make(node, { inputs, named });
    reporter.current = undefined;
  }

  /**
   * Reads the artifact of an input or output and checks it against its id. Computes it again if the store
   * lost it.
   */
  async artifact(source: GraphInput): Promise<IdentifiedArtifact> {
    if (typeof source !== "string") {
      const { id, read } = this.#options.given.get(source);
      return { id, artifact: await read() };
    }
    const { store, reporter } = this.#options;
    const [nodeId, port] = splitSource(source);
    const read = async (): Promise<IdentifiedArtifact | undefined> => {
      const { record, atHand } = this.#finished.get(nodeId)!;
      const id = record.outputs[port]!;
      const artifact = atHand.get(port) ?? await store.get(id, { onDamage: reporter.damage });
      return artifact && { id, artifact };
    };
    const found = await read();
    if (found) return found;
    const node = this.#node(nodeId);
    // A full store can keep a record and immediately remove its artifacts. This run still has the rows in
    // memory.
    const rows = await this.#rows.assemble(node);
    if (rows) return { id: this.#finished.get(nodeId)!.record.outputs[port]!, artifact: rows.artifact };
    await this.#make(node);
    const made = await read();
    if (made) return made;
    throw new PixstageError(
      "lost",
      `Cannot read "${source}": the store lost it immediately after it was made`,
    );
  }

  /** Returns the id and kind of an output. */
  reference(output: string): Omit<OutputReference, "provenance"> {
    const [nodeId, port] = splitSource(output);
    return { id: this.#id(output), kind: this.#node(nodeId).stage.outputs[port]!.kind };
  }

  /** Returns the origin of an input's or output's artifact. */
  origin(source: GraphInput): Origin {
    if (typeof source !== "string") return this.#options.given.get(source).origin;
    const [nodeId, port] = splitSource(source);
    return { maker: this.#maker(nodeId), port };
  }

  #maker(nodeId: string): Maker {
    const known = this.#makers.get(nodeId);
    if (known) return known;
    const inputs = Object.entries(this.#node(nodeId).inputs).map(([name, from]) =>
      [name, this.origin(from)] as const
    );
    const maker = { record: this.#finished.get(nodeId)!.record, inputs: Object.fromEntries(inputs) };
    this.#makers.set(nodeId, maker);
    return maker;
  }

  #node(id: string): ReadyNode {
    return this.#options.nodes.find((node) => node.id === id)!;
  }

  #id(source: GraphInput): string {
    if (typeof source !== "string") return this.#options.given.get(source).id;
    const [nodeId, port] = splitSource(source);
    return this.#finished.get(nodeId)!.record.outputs[port]!;
  }

  /** Returns whether the result of a node is known, whole or row by row. */
  async #find(node: ReadyNode, { key, record }: NodeKey): Promise<boolean> {
    const { store, reporter } = this.#options;
    const known = await store.result(key, { onDamage: reporter.damage });
    if (known && Object.keys(node.stage.outputs).every((port) => known.outputs[port] !== undefined)) {
      const { outputs, warnings } = known;
      this.#finish(node, {
        record: { ...record, outputs, ...(warnings ? { warnings } : {}) },
        atHand: new Map(),
      });
      for (const message of warnings ?? []) this.#warn(message, node);
      this.#emit(node, { type: "stage:cached" });
      this.#emitArtifacts(node, outputs);
      return true;
    }
    const { batch } = node.stage;
    const rows = batch && await this.#rows.assemble(node);
    if (!batch || !rows) return false;
    const { artifact, warnings } = rows;
    const outputs = { [batch.output]: await this.#keep({ artifact }) };
    const assembled = { ...record, outputs, ...(warnings.length > 0 ? { warnings: [...warnings] } : {}) };
    this.#finish(node, { record: assembled, atHand: new Map([[batch.output, artifact]]) });
    await this.#attempt(() => store.keepResult(key, assembled));
    for (const message of warnings) this.#warn(message, node);
    this.#emit(node, { type: "stage:cached" });
    this.#emitArtifacts(node, outputs);
    return true;
  }

  /** Runs a node. Computes its key again if an input that was computed again has changed. */
  async #make(
    node: ReadyNode,
    before?: { readonly inputs: Readonly<Record<string, string>>; readonly named: NodeKey },
  ): Promise<void> {
    const { store, reporter, signal, previews } = this.#options;
    const inputs: Record<string, IdentifiedArtifact> = {};
    for (const [port, source] of Object.entries(node.inputs)) inputs[port] = await this.artifact(source);
    const ids = Object.fromEntries(Object.entries(inputs).map(([port, { id }]) => [port, id]));
    signal.throwIfAborted();
    reporter.current = node.id;
    const started = performance.now();
    this.#emit(node, { type: "stage:start" });
    const isAsBefore = before && Object.entries(ids).every(([port, id]) => before.inputs[port] === id);
    const named = isAsBefore ? before.named : await nodeKey(node, node.prepared, ids);
    const snapshots = await this.#snapshots(node, named);
    const warnings: string[] = [];
    const batch = node.stage.batch && await this.#rows.gather(node, this.#waiting(node), signal);
    const response = await (batch?.prepared ?? node.prepared).execute(inputs, {
      signal,
      store,
      report: (event) => {
        if (event.type === "warning") {
          warnings.push(event.message);
          this.#warn(event.message, node);
        } else {
          this.#emit(node, event);
        }
      },
      snapshots,
      previews,
    });
    const outputs: Record<string, string> = {};
    const atHand = new Map<string, Artifact>();
    const made = batch ? await batch.keep(response.outputs, warnings) : response.outputs;
    for (const [port, artifact] of Object.entries(made)) {
      outputs[port] = await this.#keep(artifact);
      if ("artifact" in artifact) atHand.set(port, artifact.artifact);
    }
    const record = { ...named.record, outputs, ...(warnings.length > 0 ? { warnings } : {}) };
    this.#finish(node, { record, atHand });
    await this.#attempt(() => store.keepResult(named.key, record));
    await this.#attempt(() => snapshots.forget(Object.values(outputs)));
    this.#emitArtifacts(node, outputs);
    const { memory } = response;
    reporter.memory(memory);
    const ms = performance.now() - started;
    this.#emit(node, { type: "stage:end", ms, executor: node.where.name, ...(memory ? { memory } : {}) });
  }

  /**
   * Returns a node and the nodes after it that have not run. The node itself may be finished with its result
   * lost.
   */
  #waiting(node: ReadyNode): ReadyNode[] {
    const { nodes } = this.#options;
    const later = nodes.slice(nodes.indexOf(node) + 1);
    return [node, ...later.filter(({ id }) => !this.#finished.has(id))];
  }

  #finish(node: ReadyNode, finished: FinishedNode): void {
    this.#finished.set(node.id, finished);
    // The lineage of later nodes may have changed with this result.
    this.#makers.clear();
  }

  /**
   * Returns the storage for snapshots of a running node. Each snapshot replaces the one before, under a key
   * derived from the node's.
   */
  async #snapshots(
    node: ReadyNode,
    { key, record }: NodeKey,
  ): Promise<SnapshotRequest & { forget(outputs: readonly string[]): Promise<void> }> {
    const { store, snapshots, reporter, saved } = this.#options;
    const stateKey = await hashJson({ checkpoint: key });
    const own = (await store.result(stateKey, { onDamage: reporter.damage }))?.outputs[STATE];
    const known = Object.hasOwn(saved, node.id) ? saved[node.id] : own;
    const artifact = known === undefined ? undefined : await store.get(known, { onDamage: reporter.damage });
    let last = own;
    return {
      policy: snapshots || {},
      saved: artifact && known !== undefined ? { id: known, artifact } : undefined,
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

  /** Removes a snapshot that is no longer needed, unless its content is also another artifact. */
  async #forgetState(id: string, needed: readonly string[]): Promise<void> {
    const { store } = this.#options;
    if (needed.includes(id)) return;
    if (STATE in ((await store.madeBy(id))?.outputs ?? {})) await store.delete(id);
  }

  /** Puts an artifact into the store and returns its id. */
  async #keep(made: MadeByStage): Promise<string> {
    if ("id" in made) return made.id;
    return await this.#attempt(() => this.#options.store.put(made.artifact)) ??
      await artifactId(made.artifact);
  }

  /** Runs a write to the store. If the store is full or read-only, the run warns once and continues. */
  async #attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#isStoreReported) this.#warn(`The store does not keep this run's artifacts: ${reason}`);
      this.#isStoreReported = true;
      return undefined;
    }
  }

  /** Reports each warning once. */
  #warn(message: string, node?: ReadyNode): void {
    if (!this.#warned.has(message)) {
      this.#options.reporter.emit({ type: "warning", message, ...(node ? { node: node.id } : {}) });
    }
    this.#warned.add(message);
  }

  #emitArtifacts(node: ReadyNode, outputs: StageRecord["outputs"]): void {
    for (const [port, { kind }] of Object.entries(node.stage.outputs)) {
      this.#emit(node, { type: "artifact", port, id: outputs[port]!, kind });
    }
  }

  #emit(node: ReadyNode, event: object): void {
    const { nodes, reporter } = this.#options;
    const of = {
      node: node.id,
      stage: node.stage.name,
      nodeIndex: nodes.indexOf(node),
      nodes: nodes.length,
    };
    reporter.emit({ ...event, ...of } as UntimedEvent);
  }
}
