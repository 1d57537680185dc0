// This module is browser compatible.

import { type Artifact, ArtifactError } from "../artifacts/artifact.ts";
import { artifactId } from "../artifacts/artifact_file.ts";
import { checkArtifact } from "../artifacts/check_artifact.ts";
import type { ArtifactOutline } from "../artifacts/outline.ts";
import type { RunStore } from "../artifacts/store/store.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import type { GraphInput } from "./document.ts";
import { storedOrigin } from "./lineage.ts";
import { atHand, type GivenArtifact, takePairApart } from "./paired_embeddings.ts";
import type { GraphPlan, PlannedNode } from "./plan.ts";
import { originOf } from "./provenance.ts";
import type { ReadFile, RunOptions } from "./run_options.ts";
import type { RunReporter } from "./run_reporter.ts";

/**
 * Artifacts with at most this many values are read whole while a graph is checked, which finds invalid
 * content early.
 */
const WHOLE_ELEMENTS = 4_000_000;

/** The artifacts that a graph reads from files and from the store. */
export class GivenArtifacts {
  #given = new Map<string, GivenArtifact>();
  #store: RunStore;

  private constructor(store: RunStore) {
    this.#store = store;
  }

  /**
   * Reads the artifacts that the graph names, checks them against their ports, and keeps them in the store.
   * The run can then be repeated without the files.
   *
   * @returns The artifacts and the nodes. A node that reads prompts and negative prompts from one file gets
   * two inputs instead.
   * @throws {ArtifactError} if an artifact cannot be read here, or its kind is not that of its port.
   */
  static async read(
    { nodes }: GraphPlan,
    store: RunStore,
    { readFile, lineages }: Pick<RunOptions, "readFile" | "lineages">,
    reporter: RunReporter,
  ): Promise<{ readonly given: GivenArtifacts; readonly nodes: readonly PlannedNode[] }> {
    const given = new GivenArtifacts(store);
    for (const node of nodes) {
      for (const [port, input] of Object.entries(node.inputs)) {
        if (typeof input === "string") continue;
        const name = nameOf(input);
        const known = given.#given.get(name) ??
          ("file" in input
            ? await givenFile(input.file, store, readFile)
            : await givenId(input.artifact, `input "${port}" of "${node.id}"`, store, lineages, reporter));
        given.#given.set(name, known);
        const expected = node.stage.inputs[port]!.kind;
        const { kind } = known.outline;
        if (kind !== expected) {
          throw new ArtifactError(
            `Input "${port}" of "${node.id}" expects ${expected}, but ${name} contains ${kind}`,
          );
        }
      }
    }
    const split: PlannedNode[] = [];
    for (const node of nodes) split.push(await given.#splitEmbeddings(node));
    return { given, nodes: split };
  }

  /** Returns the artifact of an input. */
  get(input: Exclude<GraphInput, string>): GivenArtifact {
    return this.#given.get(nameOf(input))!;
  }

  /** Splits a file of prompts and negative prompts in two if the node has an input for each. */
  async #splitEmbeddings(node: PlannedNode): Promise<PlannedNode> {
    const { embeddings, negative } = node.inputs;
    if (typeof embeddings !== "object" || negative !== undefined || !("negative" in node.stage.inputs)) {
      return node;
    }
    const parts = await takePairApart(this.get(embeddings));
    if (!parts) return node;
    const inputs: Record<string, GraphInput> = { ...node.inputs };
    for (const [port, part] of Object.entries(parts)) {
      // If the store is read-only, the run warns about it at its first write.
      await part.read().then((artifact) => this.#store.put(artifact)).catch(() => {});
      inputs[port] = { artifact: part.id };
      this.#given.set(nameOf({ artifact: part.id }), part);
    }
    return { ...node, inputs };
  }
}

/** Throws an error that names the input if the artifact's content does not match its kind. */
function checkContent(artifact: Artifact, name: string): void {
  try {
    checkArtifact(artifact);
  } catch (cause) {
    if (!(cause instanceof PixstageError)) throw cause;
    throw new ArtifactError(`${name}: ${cause.message}`, { cause });
  }
}

async function givenFile(
  path: string,
  store: RunStore,
  readFile: RunOptions["readFile"],
): Promise<GivenArtifact> {
  if (!readFile) throw new ArtifactError(`Cannot read ${path}: this runner does not read files`);
  const { artifact, provenance }: ReadFile = await readFile(path);
  checkContent(artifact, path);
  // If the store is read-only, the run warns about it at its first write.
  const id = await store.put(artifact).catch(() => artifactId(artifact));
  const origin = provenance ? originOf(provenance) : await storedOrigin(id, store);
  return atHand(id, artifact, origin);
}

/**
 * Reads an artifact from the store. Of a large artifact, only the part that preparing a graph needs is read
 * before a node runs.
 *
 * @param user Which input needs the artifact, for errors.
 */
async function givenId(
  id: string,
  user: string,
  store: RunStore,
  lineages: RunOptions["lineages"],
  reporter: RunReporter,
): Promise<GivenArtifact> {
  const options = { onDamage: reporter.damage };
  const whole = async (): Promise<Artifact> => {
    const artifact = await store.get(id, options);
    if (!artifact) {
      throw new ArtifactError(
        `Cannot read artifact ${id}, ${user}, because the store does not have it: ` +
          `use the store of the run that made or read it, or start again from a file`,
      );
    }
    checkContent(artifact, nameOf({ artifact: id }));
    return artifact;
  };
  const stored = await storedOrigin(id, store);
  const lineage = "artifact" in stored ? lineages?.get(id) : undefined;
  const origin = lineage ? originOf(lineage) : stored;
  const outline = await store.outline?.(id, options);
  const isLarge = outline !== undefined && elements(outline) > WHOLE_ELEMENTS;
  return isLarge ? { id, outline, origin, read: whole } : atHand(id, await whole(), origin);
}

function elements({ shapes }: ArtifactOutline): number {
  return Object.values(shapes).reduce(
    (sum, shape) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
}

/** Returns the name of an input for error messages. */
function nameOf(input: Exclude<GraphInput, string>): string {
  return "file" in input ? input.file : `artifact ${input.artifact}`;
}
