/**
 * Plans requests without access to the machines that run them.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import { asJson } from "../../artifacts/canonical_json.ts";
import type { RunStore } from "../../artifacts/store/store.ts";
import { InternalError } from "../../errors/pixstage_error.ts";
import type { Executor, PreparedNode, PrepareRequest } from "../../graph/executors/executor.ts";
import { InlineExecutor } from "../../graph/executors/inline.ts";
import { prepareRun } from "../../graph/prepared_run.ts";
import { GivenModels } from "../../models/checkpoint/given_models.ts";
import { deviceTraits } from "../../runtime/device.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { PlanningContext } from "../../server/context.ts";
import { picturesOfRun } from "../../server/engine/pictures_of_run.ts";
import { limitsWith } from "../../server/limits.ts";
import { builtInStages } from "../../stages/mod.ts";
import { type Catalogue, DescribedSource } from "./catalogue.ts";

/** A device for planning only: it cannot open graphs. */
const PLANNED: Runtime = {
  device: "cpu",
  traits: deviceTraits("cpu"),
  open: ({ name }) =>
    Promise.reject(new InternalError(`A gateway cannot open ${name} because it only plans runs`)),
};

/** Prepares nodes from the configurations of their models. */
class PlanningExecutor implements Executor {
  readonly name = "planning";
  readonly #inline: InlineExecutor;

  constructor(files: Catalogue["files"]) {
    const sources = Object.entries(files).map(([name, parts]) => [name, new DescribedSource(name, parts)]);
    this.#inline = new InlineExecutor({
      models: new GivenModels(Object.fromEntries(sources)),
      runtime: PLANNED,
    });
  }

  /** Prepares a node as a trial: the fingerprints of the weights are known only where the node will run. */
  prepare(request: PrepareRequest, options: { readonly signal: AbortSignal }): Promise<PreparedNode> {
    return this.#inline.prepare({ ...request, isTrial: true }, options);
  }
}

/**
 * Creates the context that requests are checked against.
 *
 * @param catalogue The description of the models.
 * @param store The store of the artifacts that requests name.
 */
export function planningContext({ files, ...served }: Catalogue, store: RunStore): PlanningContext {
  const registry = builtInStages();
  const executor = new PlanningExecutor(files);
  return {
    ...served,
    limits: limitsWith(),
    registry,
    engine: {
      // The weights are loaded by workers on other machines.
      keepsHosts: false,
      hosts: () => [],
      async check(graph, signal) {
        const options = { registry, executors: [executor] as const, store, signal, isTrial: true };
        const { nodes, memory } = await prepareRun(graph, options);
        return {
          warnings: [...new Set(nodes.flatMap(({ prepared }) => prepared.warnings))],
          memory: asJson(memory) as JsonObject,
          pictures: picturesOfRun(nodes),
        };
      },
    },
  };
}
