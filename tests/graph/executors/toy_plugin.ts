/**
 * Stages that misbehave, for tests of executors. They are a plugin because workers and processes load stages
 * by module.
 *
 * @module
 */

import { z } from "zod";
import type { Artifact } from "../../../artifacts/artifact.ts";
import { killThisProcess } from "../../../system/kernel.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import { defineStage, type Stage } from "../../../stages/stage.ts";
import type { StageReport } from "../../../stages/stage_report.ts";
import { InputError } from "../../../errors/pixstage_error.ts";
import { FileError } from "../../../disk/file_error.ts";
import { OutOfMemoryError } from "../../../models/out_of_memory.ts";

/** Returns an artifact that contains one number. */
export function numberArtifact(value: number): Artifact {
  return {
    kind: "number",
    tensors: { value: tensor("float64", [], new Float64Array([value])) },
    metadata: {},
  };
}

/** Returns the number in an artifact. */
export function numberOf(artifact: Artifact | undefined): number {
  return Number(artifact?.tensors["value"]?.data[0]);
}

const number = { kind: "number", description: "A number." };

/** Adds one, in steps, and offers its state after each. */
const count: Stage = defineStage({
  name: "count",
  version: "1",
  description: "Counts from its input.",
  inputs: { start: { ...number, optional: true } },
  outputs: { end: number },
  parameters: z.strictObject({ steps: z.int().positive(), dieAfter: z.int().optional() }),
  async run({ parameters, inputs, report, snapshots, signal }) {
    const { steps, dieAfter } = parameters;
    const begun = snapshots?.saved;
    const start = inputs.start ? numberOf(inputs.start) : 0;
    let done = begun ? numberOf(begun) : 0;
    if (begun) report({ type: "stage:resumed", step: done, steps });
    while (done < steps) {
      signal.throwIfAborted();
      done += 1;
      report({ type: "step", step: done, steps, image: 0, images: 1 });
      await snapshots?.offer(() => numberArtifact(done));
      if (done === dieAfter && !begun) killThisProcess();
    }
    return { end: numberArtifact(start + done) };
  },
});

/** Blocks its thread, as a step of a model does, and reports when it starts. */
const block: Stage = defineStage({
  name: "block",
  version: "1",
  description: "Blocks the thread.",
  inputs: {},
  outputs: { end: number },
  parameters: z.strictObject({ ms: z.number(), prints: z.boolean().default(false) }),
  run({ parameters, report }) {
    report({ type: "step", step: 1, steps: 1, image: 0, images: 1 });
    if (parameters.prints) Deno.stdout.writeSync(new TextEncoder().encode('{"type":"done"}\nno line end'));
    const end = performance.now() + parameters.ms;
    while (performance.now() < end);
    return Promise.resolve({ end: numberArtifact(parameters.ms) });
  },
});

/** Runs short steps that block its thread, and reports each of them. */
const step: Stage = defineStage({
  name: "step",
  version: "1",
  description: "Takes short steps.",
  inputs: {},
  outputs: { end: number },
  parameters: z.strictObject({ ms: z.number() }),
  async run({ parameters: { ms }, report }) {
    const steps = Math.ceil(ms / 20);
    for (let step = 1; step <= steps; step++) {
      const end = performance.now() + 20;
      while (performance.now() < end);
      report({ type: "step", step, steps, image: 0, images: 1 });
      await new Promise((resolve) => setTimeout(resolve));
    }
    return { end: numberArtifact(ms) };
  },
});

/** Waits without blocking its thread, and reports when it starts. */
const wait: Stage = defineStage({
  name: "wait",
  version: "1",
  description: "Waits.",
  inputs: {},
  outputs: { end: number },
  parameters: z.strictObject({ ms: z.number() }),
  async run({ parameters: { ms }, report }) {
    report({ type: "step", step: 1, steps: 1, image: 0, images: 1 });
    await new Promise((resolve) => setTimeout(resolve, ms));
    return { end: numberArtifact(ms) };
  },
});

/** Allocates memory that it never releases. */
const hoard: Stage = defineStage({
  name: "hoard",
  version: "1",
  description: "Takes memory.",
  inputs: {},
  outputs: { end: number },
  parameters: z.strictObject({ megabytes: z.int().positive() }),
  run({ parameters }) {
    const taken = new Uint8Array(parameters.megabytes * 1e6).fill(1);
    Object.assign(globalThis, { taken });
    return Promise.resolve({ end: numberArtifact(taken.length) });
  },
});

/** Errors that stages throw: pixstage's own, JavaScript's, and one of a class in this plugin. */
const ERRORS = {
  InputError: () =>
    new InputError("out_of_range", "The sharpness must be at most 1", { details: { field: "sharpness" } }),
  FileError: () =>
    new FileError("write", "/full/cat.png", "ENOSPC", { cause: new Error("ENOSPC: no space left") }),
  OutOfMemoryError: () =>
    new OutOfMemoryError("Cannot sharpen as memory ran out", { cause: new Error("bad_alloc") }),
  TypeError: () => new TypeError("sharpness is not a function"),
  RangeError: () => new RangeError("Array buffer allocation failed"),
  StrangeError: () => Object.assign(new Error("An error of a separate class"), { name: "StrangeError" }),
};

/** Names of the errors. */
export const FAILURES = [
  "InputError",
  "FileError",
  "OutOfMemoryError",
  "TypeError",
  "RangeError",
  "StrangeError",
] as const;

/** Fails. */
const fail: Stage = defineStage({
  name: "fail",
  version: "1",
  description: "Fails.",
  inputs: {},
  outputs: { end: number },
  parameters: z.strictObject({ error: z.enum(FAILURES) }),
  run: ({ parameters: { error } }) => Promise.reject(ERRORS[error]()),
});

/** Sends what the protocol does not allow: a number that JSON lacks, or a message that is not JSON. */
const muddle: Stage = defineStage({
  name: "muddle",
  version: "1",
  description: "Sends invalid messages.",
  inputs: {},
  outputs: { end: number },
  parameters: z.strictObject({ sends: z.enum(["plan", "report", "noise"]) }),
  prepare: ({ parameters: { sends } }) =>
    Promise.resolve({
      identity: {},
      memory: sends !== "plan" ? [] : [{
        residency: "stream" as const,
        parameters: {},
        weightBytes: 0,
        peakBytes: NaN,
        heldBytes: 0,
        advice: "",
      }],
      async run({ report }: { report: (event: StageReport) => void }) {
        if (sends === "noise") Deno.stdout.writeSync(new TextEncoder().encode("\x1e{noise\n"));
        else report({ type: "step", step: NaN, steps: 1, image: 0, images: 1 });
        await new Promise((resolve) => setTimeout(resolve, 5000));
        return { end: numberArtifact(0) };
      },
    }),
});

/** Returns its input. */
const pass: Stage = defineStage({
  name: "pass",
  version: "1",
  description: "Returns its input.",
  inputs: { any: number },
  outputs: { any: number },
  parameters: z.strictObject({}),
  run: ({ inputs }) => Promise.resolve({ any: inputs.any }),
});

export default [count, block, step, wait, hoard, fail, muddle, pass];
