// This module is browser compatible.

/**
 * Provenance: how an artifact was made, from the first stage on, as a graph that makes it again. Provenance
 * travels in the files of artifacts and pictures. It does not depend on how and where the stages ran.
 *
 * @module
 */

import { parseValue } from "../errors/parse_value.ts";
import { FormatError, InputError } from "../errors/pixstage_error.ts";
import { z } from "zod";
import type { JsonObject, JsonValue } from "../artifacts/artifact.ts";
import { canonicalJson } from "../artifacts/canonical_json.ts";
import { modelUseSchema, sha256Schema, stageRecordSchema } from "../artifacts/store/stage_record.ts";
import { graphDocumentSchema, type GraphInput, inputSchema } from "./document.ts";
import type { Maker, Origin } from "./lineage.ts";
import { splitSource } from "./plan.ts";

/** The schema of {@linkcode Provenance}. */
export const provenanceSchema = z.object({
  /** A graph that makes the artifact. */
  graph: graphDocumentSchema,
  /** The output of the graph that this artifact is, e.g. `decode.image`. */
  output: inputSchema,
  /** The version, weights and outputs of each node when it ran. */
  stages: z.record(
    z.string(),
    z.object({
      /** The stage's version. */
      version: z.string(),
      /** The weights that the stage used. */
      models: z.array(modelUseSchema),
      /** Ids of the artifacts that the stage made. */
      outputs: z.record(z.string(), sha256Schema),
    }),
  ),
});

/** How an artifact was made. */
export type Provenance = z.infer<typeof provenanceSchema>;

/**
 * Writes the provenance of an artifact. Nodes are named after their stages, in an order that depends only on
 * the graph, so the same history always has the same text.
 *
 * @param origin The artifact's origin.
 * @returns Its provenance.
 */
export function describeOrigin(origin: Origin): Provenance {
  const nodes: Record<string, JsonValue> = {};
  const stages: Record<string, Provenance["stages"][string]> = {};
  const named = new Map<string, string>();
  const visited = new Map<Maker, string>();
  const visit = (from: Origin): JsonValue => {
    if ("artifact" in from) return { artifact: from.artifact };
    const known = visited.get(from.maker);
    if (known !== undefined) return `${known}.${from.port}`;
    const { record, inputs } = from.maker;
    const sources: Record<string, JsonValue> = {};
    for (const port of Object.keys(inputs).sort()) sources[port] = visit(inputs[port]!);
    const node: JsonObject = { stage: record.stage, parameters: record.parameters, inputs: sources };
    const content = canonicalJson({ node, version: record.stageVersion });
    let id = named.get(content);
    if (id === undefined) {
      id = freeName(nodeName(record.stage), nodes);
      named.set(content, id);
      nodes[id] = node;
      stages[id] = { version: record.stageVersion, models: [...record.models], outputs: record.outputs };
    }
    visited.set(from.maker, id);
    return `${id}.${from.port}`;
  };
  const output = visit(origin);
  return provenanceSchema.parse({ graph: { pixstage: 1, nodes }, output, stages });
}

/** Returns a stage's name as a node id. A plugin's name can contain characters that a node id cannot. */
function nodeName(stage: string): string {
  const name = stage.replaceAll(/[^\w-]/g, "-");
  return /^[A-Za-z]/.test(name) ? name : `stage-${name}`;
}

function freeName(name: string, taken: Readonly<Record<string, unknown>>): string {
  for (let number = 1;; number++) {
    const id = number === 1 ? name : `${name}-${number}`;
    if (!Object.hasOwn(taken, id)) return id;
  }
}

/**
 * Returns the origin that a provenance describes, which can then be part of a longer one.
 *
 * @param provenance How an artifact was made.
 * @returns The artifact's origin.
 */
export function originOf(provenance: Provenance): Origin {
  const { graph, output, stages } = provenance;
  const makers = new Map<string, Maker>();
  const trail = new Set<string>();
  const origin = (source: GraphInput): Origin => {
    if (typeof source === "string") {
      const [id, port] = splitSource(source);
      return { maker: makers.get(id) ?? maker(id), port };
    }
    if ("artifact" in source) return source;
    throw new FormatError(
      `Cannot read the lineage of an artifact: its graph names the file ${source.file}, which a lineage cannot`,
    );
  };
  const maker = (id: string): Maker => {
    const node = Object.hasOwn(graph.nodes, id) ? graph.nodes[id] : undefined;
    const stage = Object.hasOwn(stages, id) ? stages[id] : undefined;
    if (trail.has(id)) {
      const nodes = [...trail];
      const circle = [...nodes.slice(nodes.indexOf(id)), id].join(" → ");
      throw new InputError(
        "invalid_value",
        `Cannot read the lineage of an artifact: its graph has a cycle, ${circle}`,
      );
    }
    if (!node || !stage) {
      throw new InputError(
        "invalid_value",
        `Cannot read the lineage of an artifact: its graph is incomplete at node "${id}"`,
      );
    }
    trail.add(id);
    const inputs = mapValues(node.inputs, origin);
    trail.delete(id);
    const record = stageRecordSchema.parse({
      version: 1,
      stage: node.stage,
      stageVersion: stage.version,
      parameters: node.parameters,
      models: stage.models,
      inputs: mapValues(inputs, originId),
      outputs: stage.outputs,
    });
    const made = { record, inputs };
    makers.set(id, made);
    return made;
  };
  return origin(output);
}

function mapValues<A, B>(object: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
}

/** Returns the id of the artifact that an origin describes. */
export function originId(origin: Origin): string {
  if ("artifact" in origin) return origin.artifact;
  const id = origin.maker.record.outputs[origin.port];
  if (id !== undefined) return id;
  throw new FormatError(
    `Cannot read a lineage: stage "${origin.maker.record.stage}" has no output "${origin.port}"`,
  );
}

/** Returns a provenance as a short text to store in a file. */
export function provenanceText(provenance: Provenance, more: JsonObject = {}): string {
  return canonicalJson({ ...(provenance as unknown as JsonObject), ...more });
}

/**
 * Parses the text of a provenance.
 *
 * @param text The text.
 * @param name Name of the file or picture, for errors.
 * @returns The provenance.
 * @throws {FormatError} if the text is not a provenance.
 */
export function parseProvenance(text: string, name: string): Provenance {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`Cannot read the lineage of ${name}: it is not JSON`, { cause });
  }
  return parseValue(
    provenanceSchema,
    value,
    ({ clause }, options) => new FormatError(`Cannot read the lineage of ${name}: ${clause}`, options),
  );
}
