/**
 * Stages for tests of queues: slow ones with snapshots, failing ones, and one that kills its worker.
 *
 * @module
 */

import { z } from "zod";
import { InputError, PixstageError } from "../../errors/pixstage_error.ts";
import { defineStage, type Stage } from "../../stages/stage.ts";
import { numberArtifact, numberOf } from "../graph/executors/toy_plugin.ts";

const number = { kind: "number", description: "A number." };

/** Adds one to a number in each step, and offers a snapshot after it. */
const walk: Stage = defineStage({
  name: "walk",
  version: Deno.env.get("WALK_VERSION") ?? "1",
  description: "Walks in steps.",
  inputs: { start: { ...number, optional: true } },
  outputs: { end: number },
  parameters: z.strictObject({
    steps: z.int().positive(),
    ms: z.number().default(0),
    seed: z.int().default(0),
  }),
  async run({ parameters: { steps, ms, seed }, inputs, report, snapshots, signal }) {
    const begun = snapshots?.saved;
    let done = begun ? numberOf(begun) : 0;
    if (begun) report({ type: "stage:resumed", step: done, steps });
    while (done < steps) {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, ms));
      done += 1;
      report({ type: "step", step: done, steps, image: 0, images: 1 });
      await snapshots?.offer(() => numberArtifact(done));
    }
    const version = Number(Deno.env.get("WALK_VERSION") ?? "1");
    return {
      end: numberArtifact((inputs.start ? numberOf(inputs.start) : 0) + done + seed + 1000 * version),
    };
  },
});

/** Kills the worker whose process runs the stage. */
const poison: Stage = defineStage({
  name: "poison",
  version: "1",
  description: "Kills its worker.",
  inputs: {},
  outputs: { end: number },
  parameters: z.strictObject({}),
  async run() {
    Deno.kill(Deno.ppid, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 5000));
    return { end: numberArtifact(0) };
  },
});

/** Fails with the fault of the caller, of the environment, or with an unknown error. */
const fail: Stage = defineStage({
  name: "fail",
  version: "1",
  description: "Fails.",
  inputs: {},
  outputs: { end: number },
  parameters: z.strictObject({ when: z.enum(["prepare", "caller", "environment", "bug"]) }),
  prepare({ parameters: { when } }) {
    const caller = () =>
      new InputError("out_of_range", "The sharpness must be at most 1", { details: { field: "when" } });
    if (when === "prepare") throw caller();
    return {
      identity: { when },
      run() {
        if (when === "caller") throw caller();
        if (when === "environment") throw new PixstageError("disk_full", "The disk is full");
        throw new TypeError("sharpness is not a function");
      },
    };
  },
});

export default [walk, poison, fail];
