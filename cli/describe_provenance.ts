/**
 * Provenance for people to read: which stages ran in which order, with which parameters, weights and inputs.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { JsonObject } from "../artifacts/artifact.ts";
import { asJson } from "../artifacts/canonical_json.ts";
import { dependencyOrder } from "../graph/lineage.ts";
import { sourceNodes, splitSource } from "../graph/plan.ts";
import type { Provenance } from "../graph/provenance.ts";

/**
 * Describes a provenance for `inspect`.
 *
 * @param provenance The provenance of an artifact.
 * @returns Each node with its stage, parameters and weights, and the ids of its inputs and outputs.
 */
export function describeProvenance({ graph, stages, output }: Provenance): JsonObject {
  const nodes: Record<string, JsonObject> = {};
  const order = dependencyOrder(
    Object.keys(graph.nodes),
    (id) => sourceNodes(graph.nodes[id]!).filter((source) => Object.hasOwn(graph.nodes, source)),
    (cycle) => {
      throw new InputError(
        "invalid_value",
        `Cannot describe the lineage because it contains a cycle, ${cycle.join(" → ")}`,
      );
    },
  );
  for (const id of order) {
    const node = graph.nodes[id]!;
    const { version, models = [], outputs = {} } = own(stages, id) ?? {};
    const inputs = Object.entries(node.inputs).map(([port, source]) => {
      if (typeof source !== "string") return [port, "artifact" in source ? source.artifact : source.file];
      const [from, output] = splitSource(source);
      return [port, `${own(stages, from)?.outputs[output]} (${source})`];
    });
    const weights = models.map((
      { component, model, fingerprint },
    ) => [component, `${fingerprint} of ${model}`]);
    nodes[id] = {
      stage: `${node.stage} ${version}`,
      ...filled("parameters", node.parameters),
      ...filled("weights", Object.fromEntries(weights)),
      ...filled("inputs", Object.fromEntries(inputs)),
      outputs,
    };
  }
  return { ...nodes, output: typeof output === "string" ? output : asJson(output) };
}

function filled(name: string, fields: Readonly<Record<string, unknown>>): JsonObject {
  return Object.keys(fields).length > 0 ? { [name]: asJson(fields) } : {};
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
