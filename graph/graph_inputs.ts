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

/** Artifacts of up to so many values are read whole while a graph is checked, so that wrong content is found then. */
const WHOLE_ELEMENTS = 4_000_000;

/** The artifacts that a graph takes from outside. */
export class GivenArtifacts {
  #given = new Map<string, GivenArtifact>();
  #store: RunStore;

  private constructor(store: RunStore) {
    this.#store = store;
  }

  /**
   * Reads the artifacts that the graph names, holds them against their ports, and keeps them in the store, so that the run
   * can be repeated without the files.
   *
   * @returns The artifacts, and the nodes: those that take prompts and negative prompts from one file take them apart.
   * @throws {ArtifactError} if something cannot be read here, or is of another kind than its port.
   */
  static async read(
    { nodes }: GraphPlan,
    store: RunStore,
    readFile: RunOptions["readFile"],
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
            : await givenId(input.artifact, store, reporter));
        given.#given.set(name, known);
        const expected = node.stage.inputs[port]!.kind;
        const { kind } = known.outline;
        if (kind !== expected) {
          throw new ArtifactError(
            `Input "${port}" of "${node.id}" expects ${expected}, but ${name} holds ${kind}`,
          );
        }
      }
    }
    const apart: PlannedNode[] = [];
    for (const node of nodes) apart.push(await given.#takeApart(node));
    return { given, nodes: apart };
  }

  /** The artifact that was read for an input. */
  get(input: Exclude<GraphInput, string>): GivenArtifact {
    return this.#given.get(nameOf(input))!;
  }

  /** Takes a file apart that holds prompts and negative prompts, where the node has an input for each. */
  async #takeApart(node: PlannedNode): Promise<PlannedNode> {
    const { embeddings, negative } = node.inputs;
    if (typeof embeddings !== "object" || negative !== undefined || !("negative" in node.stage.inputs)) {
      return node;
    }
    const halves = await takePairApart(this.get(embeddings));
    if (!halves) return node;
    const inputs: Record<string, GraphInput> = { ...node.inputs };
    for (const [port, half] of Object.entries(halves)) {
      // The run warns of a store that cannot be written when it writes to it.
      await half.read().then((artifact) => this.#store.put(artifact)).catch(() => {});
      inputs[port] = { artifact: half.id };
      this.#given.set(nameOf({ artifact: half.id }), half);
    }
    return { ...node, inputs };
  }
}

/** Refuses an artifact whose content is not that of its kind, by the name that the graph has for it. */
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
  if (!readFile) throw new ArtifactError(`Cannot read ${path}: nothing here reads files`);
  const { artifact, provenance }: ReadFile = await readFile(path);
  checkContent(artifact, path);
  // The run warns of a store that cannot be written when it writes to it.
  const id = await store.put(artifact).catch(() => artifactId(artifact));
  const origin = provenance ? originOf(provenance) : await storedOrigin(id, store);
  return atHand(id, artifact, origin);
}

/** An artifact of the store. Of a large one, only what preparing a graph needs is read before a node runs. */
async function givenId(id: string, store: RunStore, reporter: RunReporter): Promise<GivenArtifact> {
  const options = { onDamage: reporter.damage };
  const whole = async (): Promise<Artifact> => {
    const artifact = await store.get(id, options);
    if (!artifact) throw new ArtifactError(`Cannot read artifact ${id}: the store does not have it`);
    checkContent(artifact, nameOf({ artifact: id }));
    return artifact;
  };
  const origin = await storedOrigin(id, store);
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

/** How an input is named in errors. */
function nameOf(input: Exclude<GraphInput, string>): string {
  return "file" in input ? input.file : `artifact ${input.artifact}`;
}
