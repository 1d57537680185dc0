// This module is browser compatible.

import { ArtifactError } from "../artifacts/artifact.ts";
import type { StageRecord } from "../artifacts/store/stage_record.ts";
import type { RunStore } from "../artifacts/store/store.ts";
import type { GraphInput } from "./document.ts";
import type { IdentifiedArtifact } from "./executors/executor.ts";
import type { GraphPlan } from "./plan.ts";
import { type Origin, originOf } from "./provenance.ts";
import type { ReadFile, RunOptions } from "./run_options.ts";
import type { RunReporter } from "./run_reporter.ts";

/** An artifact that a graph names by file or id, and where it is from. */
interface GivenArtifact extends IdentifiedArtifact {
  readonly origin: Origin;
}

/** The artifacts that a graph takes from outside. */
export class GivenArtifacts {
  #given = new Map<string, GivenArtifact>();

  /**
   * Reads what the graph names, holds it against the ports that it is for, and keeps it in the store, so that the run
   * can be repeated without the files.
   *
   * @throws {ArtifactError} if something cannot be read here, or is of another kind than its port.
   */
  static async read(
    plan: GraphPlan,
    store: RunStore,
    readFile: RunOptions["readFile"],
    reporter: RunReporter,
  ): Promise<GivenArtifacts> {
    const all = new GivenArtifacts();
    for (const node of plan.nodes) {
      for (const [port, input] of Object.entries(node.inputs)) {
        if (typeof input === "string") continue;
        const name = nameOf(input);
        const known = all.#given.get(name) ??
          ("file" in input
            ? await givenFile(input.file, store, readFile)
            : await givenId(input.artifact, store, reporter));
        all.#given.set(name, known);
        const expected = node.stage.inputs[port]!.kind;
        const { kind } = known.artifact;
        if (kind !== expected) {
          throw new ArtifactError(
            `Cannot use ${name} as input "${port}" of "${node.id}" must be ${expected}: it holds ${kind}`,
          );
        }
      }
    }
    return all;
  }

  /** What was read for an input. */
  get(input: Exclude<GraphInput, string>): GivenArtifact {
    return this.#given.get(nameOf(input))!;
  }
}

async function givenFile(
  path: string,
  store: RunStore,
  readFile: RunOptions["readFile"],
): Promise<GivenArtifact> {
  if (!readFile) throw new ArtifactError(`Cannot read ${path} as nothing here reads files`);
  const { artifact, provenance }: ReadFile = await readFile(path);
  const id = await store.put(artifact);
  const origin = provenance ? originOf(provenance) : await storedOrigin(id, store);
  return { id, artifact, origin };
}

async function givenId(id: string, store: RunStore, reporter: RunReporter): Promise<GivenArtifact> {
  const artifact = await store.get(id, { onDamage: reporter.damage });
  if (!artifact) {
    throw new ArtifactError(`Cannot read artifact ${id} as the store does not have it`, {
      code: "artifact_not_found",
    });
  }
  return { id, artifact, origin: await storedOrigin(id, store) };
}

/**
 * Where an artifact of the store is from, as far as the store knows.
 *
 * @param id The artifact.
 * @param store The store.
 */
export async function storedOrigin(id: string, store: RunStore): Promise<Origin> {
  return await originIn(store, id, []);
}

/** An artifact may be its own ancestor: a stage may give what another took. The way ends there. */
async function originIn(store: RunStore, id: string, trail: readonly string[]): Promise<Origin> {
  const record = trail.includes(id) ? undefined : await store.madeBy(id);
  const port = record && portOf(record, id);
  if (!record || port === undefined) return { artifact: id };
  const inputs: Record<string, Origin> = {};
  for (const [name, input] of Object.entries(record.inputs)) {
    inputs[name] = await originIn(store, input, [...trail, id]);
  }
  return { maker: { record, inputs }, port };
}

function portOf({ outputs }: StageRecord, id: string): string | undefined {
  return Object.keys(outputs).find((port) => outputs[port] === id);
}

/** How an input is named in errors. */
function nameOf(input: Exclude<GraphInput, string>): string {
  return "file" in input ? input.file : `artifact ${input.artifact}`;
}
