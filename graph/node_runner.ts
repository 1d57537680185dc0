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

/** The name that the record of an interrupted node has for its state, beside the ports of its stage. */
const STATE = "interrupted";

/** What the nodes of one run need. */
export interface NodeRunnerOptions extends Omit<PreparedRun, "memory"> {
  /** When states of running stages are kept. */
  readonly snapshots: SnapshotPolicy | false;
  /** Whether stages are to report intermediate images. */
  readonly previews: boolean;
  /** States that nodes begin from, by node id: ids of artifacts in the store. */
  readonly saved: Readonly<Record<string, string>>;
}

/** A node that has run or was found in the store. */
interface FinishedNode {
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

  /** Finds a node's result, or runs it. All that it depends on must be finished. */
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

  /** The artifact of an input or output, read and held against its id; made again where the store lost it. */
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
    // A store may keep records and lose artifacts at once, being full: the rows of this run are at hand.
    const rows = await this.#rows.assemble(node);
    if (rows) return { id: this.#finished.get(nodeId)!.record.outputs[port]!, artifact: rows.artifact };
    await this.#make(node);
    const made = await read();
    if (made) return made;
    throw new PixstageError("lost", `Cannot read "${source}" as the store lost it as soon as it was made`);
  }

  /** The id and kind of an output. */
  reference(output: string): Omit<OutputReference, "provenance"> {
    const [nodeId, port] = splitSource(output);
    return { id: this.#id(output), kind: this.#node(nodeId).stage.outputs[port]!.kind };
  }

  /** Where the artifact of an input or output is from. */
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

  /** Whether the result of a node is known: in the store, or row by row. */
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

  /** Runs a node. Its key is computed anew where an input, made again, is another than it was. */
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

  /** A node and those after it that have not run. The node itself may be finished, its result lost. */
  #waiting(node: ReadyNode): ReadyNode[] {
    const { nodes } = this.#options;
    const later = nodes.slice(nodes.indexOf(node) + 1);
    return [node, ...later.filter(({ id }) => !this.#finished.has(id))];
  }

  #finish(node: ReadyNode, finished: FinishedNode): void {
    this.#finished.set(node.id, finished);
    // What was known of the lineage of later nodes may have changed with this one.
    this.#makers.clear();
  }

  /** Keeps the states of a running node, each in place of the last, under a key that follows from the node's. */
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

  /** Removes a state that nobody needs any more, unless it is the content of something else too. */
  async #forgetState(id: string, needed: readonly string[]): Promise<void> {
    const { store } = this.#options;
    if (needed.includes(id)) return;
    if (STATE in ((await store.madeBy(id))?.outputs ?? {})) await store.delete(id);
  }

  /** Puts an artifact into the store, and gives its id. */
  async #keep(made: MadeByStage): Promise<string> {
    if ("id" in made) return made.id;
    return await this.#attempt(() => this.#options.store.put(made.artifact)) ??
      await artifactId(made.artifact);
  }

  /** A store that cannot be written, being full or read-only, gives one warning and does not stop the run. */
  async #attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#isStoreReported) this.#warn(`The store does not keep what is made: ${reason}`);
      this.#isStoreReported = true;
      return undefined;
    }
  }

  /** Reports a warning, once. */
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
