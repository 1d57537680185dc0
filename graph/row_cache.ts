// This module is browser compatible.

/**
 * Rows of stages that work row by row: each is cached by itself, and rows that several nodes lack are made in one run. A
 * text encoder then reads its weights once for all texts of a run, and never for a text that the store knows.
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
   * Keeps each row that the run made, and gives the outputs of the node that it ran for.
   *
   * @param outputs The outputs of the run.
   * @param warnings What the run warned of: it holds for each of its rows.
   */
  keep(
    outputs: Readonly<Record<string, MadeByStage>>,
    warnings: readonly string[],
  ): Promise<Record<string, MadeByStage>>;
}

/** Rows that were made before. */
export interface KnownRows {
  /** The rows. */
  readonly artifact: Artifact;
  /** What their runs warned of. */
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
   * @param onDamage Takes rows that are damaged.
   * @param put Puts an artifact into the store, as far as the store can be written, and gives its id.
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

  /** The output of a node where all of its rows are known, and what the runs that made them warned of. */
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
   * Gathers the rows that a node lacks, and those that later nodes of the same stage, weights and identity lack.
   *
   * @param node The node that is about to run.
   * @param waiting The nodes that have not run, the node included.
   * @param signal Stops preparing.
   * @returns One run for all of them; undefined where the node has no rows, or where none is missing, as another
   * run has made them meanwhile.
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
    // The run has the rows at hand; the run warns of a store that cannot be written when the artifact is put.
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
      `Cannot read artifact ${made.id} as the store lost it as soon as it was made`,
    );
  }
}

/** The rows of a node, as its identity has them. */
function rowsOf({ prepared }: ReadyNode, { parameter }: BatchOver): readonly JsonValue[] | undefined {
  const rows = prepared.identity[parameter];
  return Array.isArray(rows) ? rows : undefined;
}

/** The key of one row: that of a node which has this row alone. */
async function rowKey(node: ReadyNode, { parameter }: BatchOver, row: JsonValue): Promise<NodeKey> {
  const parameters = { ...Object(node.parameters), [parameter]: [row] };
  const identity: JsonObject = { ...node.prepared.identity, [parameter]: [row] };
  return await nodeKey({ ...node, parameters }, { ...node.prepared, identity }, {});
}

/** Whether two nodes differ in their rows alone, and run at the same place. */
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
