// This module is browser compatible.

/**
 * Rows of stages that work row by row. Each row is cached separately, and rows that several nodes lack are
 * computed in one run. A text encoder thus reads its weights once for all texts of a run, and never for a
 * text that the store has.
 *
 * @module
 */

import { PixstageError } from "../errors/pixstage_error.ts";
import type { Artifact, JsonObject, JsonValue } from "../artifacts/artifact.ts";
import { canonicalJson } from "../artifacts/canonical_json.ts";
import type { RunStore, StoreReadOptions } from "../artifacts/store/store.ts";
import type { BatchOver } from "../stages/stage.ts";
import type { MadeByStage, PreparedNode } from "./executors/executor.ts";
import { type NodeKey, nodeKey } from "./node_key.ts";
import type { ReadyNode } from "./prepared_run.ts";

/** A run of one stage for the rows that several nodes lack. */
export interface GatheredRows {
  /** The stage, prepared for these rows. */
  readonly prepared: PreparedNode;
  /**
   * Keeps each row of the run and returns the outputs of the node that the run was started for.
   *
   * @param outputs The outputs of the run.
   * @param warnings The warnings of the run. They apply to each of its rows.
   */
  keep(
    outputs: Readonly<Record<string, MadeByStage>>,
    warnings: readonly string[],
  ): Promise<Record<string, MadeByStage>>;
}

/** Rows that are already known. */
export interface KnownRows {
  /** The rows. */
  readonly artifact: Artifact;
  /** The warnings of the runs that made them. */
  readonly warnings: readonly string[];
}

/** The rows of one run. */
export class RowCache {
  #store: RunStore;
  #onDamage: StoreReadOptions["onDamage"];
  #put: (made: MadeByStage) => Promise<string>;
  #rows = new Map<string, KnownRows>();

  /**
   * @param store Keeps rows.
   * @param onDamage Called for each damaged row.
   * @param put Puts an artifact into the store, as far as the store can be written, and returns its id.
   */
  constructor(
    store: RunStore,
    onDamage: StoreReadOptions["onDamage"],
    put: (made: MadeByStage) => Promise<string>,
  ) {
    this.#store = store;
    this.#onDamage = onDamage;
    this.#put = put;
  }

  /** Returns the output of a node, and the warnings of the runs that made it, if all its rows are known. */
  async assemble(node: ReadyNode): Promise<KnownRows | undefined> {
    const { batch } = node.stage;
    if (!batch || !rowsOf(node, batch)) return undefined;
    const rows: KnownRows[] = [];
    for (const row of rowsOf(node, batch)!) {
      const known = await this.#row(await rowKey(node, batch, row), batch);
      if (!known) return undefined;
      rows.push(known);
    }
    return {
      artifact: batch.join(rows.map(({ artifact }) => artifact)),
      warnings: [...new Set(rows.flatMap(({ warnings }) => warnings))],
    };
  }

  /**
   * Gathers the rows that a node lacks, and those that later nodes with the same stage, weights and identity
   * lack.
   *
   * @param node The node that is about to run.
   * @param waiting The nodes that have not run, including `node`.
   * @param signal Stops preparing.
   * @returns One run for all of them, or `undefined` if the node has no rows, or if another run has computed
   * all missing rows in the meantime.
   */
  async gather(
    node: ReadyNode,
    waiting: readonly ReadyNode[],
    signal: AbortSignal,
  ): Promise<GatheredRows | undefined> {
    const { batch } = node.stage;
    const own = batch && rowsOf(node, batch);
    if (!batch || !own) return undefined;
    const alike = waiting.filter((other) => sameBut(node, other, batch));
    const missing = new Map<string, { readonly row: JsonValue; readonly named: NodeKey }>();
    for (const member of alike) {
      for (const row of rowsOf(member, batch) ?? []) {
        const named = await rowKey(member, batch, row);
        if (!missing.has(named.key) && !await this.#row(named, batch)) missing.set(named.key, { row, named });
      }
    }
    if (missing.size === 0) return undefined;
    const made = [...missing.values()];
    const parameters = { ...Object(node.parameters), [batch.parameter]: made.map(({ row }) => row) };
    const request = { node: { ...node, parameters: node.stage.parameters.parse(parameters) }, inputs: {} };
    return {
      prepared: await node.where.prepare({ ...request, residency: node.residency }, { signal }),
      keep: async (outputs, warnings) => {
        const artifact = await this.#read(outputs[batch.output]!);
        for (const [index, row] of batch.split(artifact).entries()) {
          await this.#keepRow(made[index]!.named, batch, { artifact: row, warnings });
        }
        return { [batch.output]: { artifact: (await this.assemble(node))!.artifact } };
      },
    };
  }

  async #row({ key }: NodeKey, { output }: BatchOver): Promise<KnownRows | undefined> {
    const atHand = this.#rows.get(key);
    if (atHand) return atHand;
    const options = { onDamage: this.#onDamage };
    const known = await this.#store.result(key, options);
    const id = known?.outputs[output];
    const artifact = id === undefined ? undefined : await this.#store.get(id, options);
    if (!artifact) return undefined;
    const row = { artifact, warnings: known?.warnings ?? [] };
    this.#rows.set(key, row);
    return row;
  }

  async #keepRow({ key, record }: NodeKey, { output }: BatchOver, row: KnownRows): Promise<void> {
    this.#rows.set(key, row);
    const { artifact, warnings } = row;
    const id = await this.#put({ artifact });
    // The rows stay in memory. The run warns about a store that cannot be written when it puts the artifact.
    await this.#store.keepResult(key, {
      ...record,
      outputs: { [output]: id },
      ...(warnings.length > 0 ? { warnings: [...warnings] } : {}),
    }).catch(() => {});
  }

  async #read(made: MadeByStage): Promise<Artifact> {
    if ("artifact" in made) return made.artifact;
    const artifact = await this.#store.get(made.id, { onDamage: this.#onDamage });
    if (artifact) return artifact;
    throw new PixstageError(
      "lost",
      `Cannot read artifact ${made.id}: the store lost it immediately after it was made`,
    );
  }
}

/** Returns the rows of a node from its identity. */
function rowsOf({ prepared }: ReadyNode, { parameter }: BatchOver): readonly JsonValue[] | undefined {
  const rows = prepared.identity[parameter];
  return Array.isArray(rows) ? rows : undefined;
}

/** Returns the key of one row, which is the key of a node that has only this row. */
async function rowKey(node: ReadyNode, { parameter }: BatchOver, row: JsonValue): Promise<NodeKey> {
  const parameters = { ...Object(node.parameters), [parameter]: [row] };
  const identity: JsonObject = { ...node.prepared.identity, [parameter]: [row] };
  return await nodeKey({ ...node, parameters }, { ...node.prepared, identity }, {});
}

/** Returns whether two nodes differ only in their rows and run on the same executor. */
function sameBut(node: ReadyNode, other: ReadyNode, { parameter }: BatchOver): boolean {
  const content = ({ stage, prepared, where, residency }: ReadyNode): string => {
    const { [parameter]: _rows, ...identity } = prepared.identity;
    const weights = prepared.weights.map(({ fingerprint }) => fingerprint);
    return canonicalJson({
      stage: stage.name,
      identity,
      weights,
      where: where.name,
      residency: residency ?? null,
    });
  };
  return Object.keys(other.inputs).length === 0 && content(node) === content(other);
}
