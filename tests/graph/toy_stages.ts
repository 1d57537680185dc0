/**
 * Small stages for tests of graphs. They compute with numbers, so a result shows how the graph was run.
 *
 * @module
 */

import { z } from "zod";
import type { Artifact } from "../../artifacts/artifact.ts";
import { tensor } from "../../artifacts/tensor.ts";
import type { Models } from "../../models/models.ts";
import type { Runtime, RuntimeTraits } from "../../runtime/runtime.ts";
import { InlineExecutor } from "../../graph/executors/inline.ts";
import type { RunOptions } from "../../graph/run_options.ts";
import { StageRegistry } from "../../stages/registry.ts";
import { defineStage, type Stage } from "../../stages/stage.ts";

/** Returns an artifact that contains one number. */
export function numberArtifact(value: number, kind = "number"): Artifact {
  return { kind, tensors: { value: tensor("float64", [], new Float64Array([value])) }, metadata: {} };
}

/** Returns the number in an artifact. */
export function numberOf(artifact: Artifact | undefined): number {
  return Number(artifact?.tensors["value"]?.data[0]);
}

const number = { kind: "number", description: "A number." };

/** Returns its parameter. */
export const constantStage: Stage = defineStage({
  name: "constant",
  version: "1",
  description: "Returns a number.",
  inputs: {},
  outputs: { value: number },
  parameters: z.strictObject({ value: z.number() }),
  run: ({ parameters }) => Promise.resolve({ value: numberArtifact(parameters.value) }),
});

/** Adds its inputs. The second one is optional. */
export const addStage: Stage = defineStage({
  name: "add",
  version: "1",
  description: "Adds numbers.",
  inputs: { a: number, b: { ...number, optional: true } },
  outputs: { sum: number },
  parameters: z.strictObject({}),
  run: ({ inputs }) =>
    Promise.resolve({ sum: numberArtifact(numberOf(inputs.a) + (inputs.b ? numberOf(inputs.b) : 0)) }),
});

/** Converts a number to a text. */
export const textStage: Stage = defineStage({
  name: "text",
  version: "1",
  description: "Writes a number.",
  inputs: { value: number },
  outputs: { text: { kind: "text", description: "A text." } },
  parameters: z.strictObject({ digits: z.int().min(0).default(2) }),
  run: ({ inputs }) => Promise.resolve({ text: { ...numberArtifact(numberOf(inputs.value)), kind: "text" } }),
});

/** Refuses its parameter before anything runs, or fails while it runs. */
export const refusingStage: Stage = defineStage({
  name: "refusing",
  version: "1",
  description: "Refuses.",
  inputs: { value: number },
  outputs: { value: number },
  parameters: z.strictObject({ when: z.enum(["prepare", "run", "output"]) }),
  prepare({ parameters: { when } }) {
    if (when === "prepare") throw new RangeError("Cannot prepare");
    return {
      identity: { when },
      run({ inputs }) {
        if (when === "run") throw new RangeError("Cannot run");
        return Promise.resolve({ value: { ...inputs.value, kind: "something else" } });
      },
    };
  },
});

/** Returns a registry with the toy stages. */
export function toyStages(): StageRegistry {
  return new StageRegistry([constantStage, addStage, textStage, refusingStage]);
}

/** Returns the options with which `runGraph` runs toy stages, which open neither checkpoints nor graphs. */
export function toyRun(): Pick<RunOptions, "registry" | "executors"> {
  return {
    registry: toyStages(),
    executors: [new InlineExecutor({ models: noModels, runtime: noRuntime() })],
  };
}

/** Models that fail when a stage asks for one. */
export const noModels: Models = {
  open: ({ model }) => Promise.reject(new Error(`A toy stage asked for ${model}`)),
  component: ({ model }) => Promise.reject(new Error(`A toy stage asked for a component of ${model}`)),
};

/** Returns a runtime that fails when a stage opens a graph. */
export function noRuntime(traits: RuntimeTraits = { hostMemory: true, float16: false }): Runtime {
  return {
    device: "none",
    traits,
    open: ({ name }) => Promise.reject(new Error(`A toy stage opened ${name}`)),
  };
}
