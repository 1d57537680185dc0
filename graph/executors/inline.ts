// This module is browser compatible.

import type { Models } from "../../models/models.ts";
import { modelsWithSignal } from "../../models/models_with_signal.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { OutputArtifacts, Ports, Stage } from "../../stages/stage.ts";
import { PixstageError } from "../../errors/pixstage_error.ts";
import { PolicyCheckpoint } from "../checkpoints.ts";
import type { StageMemory } from "../events.ts";
import type { ExecuteOptions, Executor, StageRequest, StageResponse } from "./executor.ts";

/** What stages that run in this thread may use. */
export interface InlineExecutorOptions {
  /** Opens checkpoints by reference. */
  readonly models: Models;
  /** Opens ONNX graphs. */
  readonly runtime: Runtime;
}

/** Runs stages in the calling thread. */
export class InlineExecutor implements Executor {
  readonly name = "inline";
  #options: InlineExecutorOptions;

  /** @param options What stages may use. */
  constructor(options: InlineExecutorOptions) {
    this.#options = options;
  }

  /** Runs one node in this thread. */
  async execute(request: StageRequest, options: ExecuteOptions): Promise<StageResponse> {
    const { node, inputs } = request;
    const { signal, report, checkpoint, previews } = options;
    const { models, runtime } = this.#options;
    signal.throwIfAborted();
    runtime.resetPeakMemory?.();
    const outputs = await node.stage.run({
      parameters: node.parameters,
      connected: Object.keys(inputs),
      inputs: Object.fromEntries(Object.entries(inputs).map(([port, { artifact }]) => [port, artifact])),
      models: modelsWithSignal(models, signal),
      runtime,
      signal,
      report,
      previews,
      checkpoint: checkpoint &&
        new PolicyCheckpoint(
          checkpoint.policy,
          (artifact) => checkpoint.keep({ artifact }),
          checkpoint.saved?.artifact,
        ),
    });
    checkOutputs(node.stage, outputs);
    await runtime.giveBackMemory?.();
    const memory: StageMemory | undefined = runtime.memory?.();
    const made = Object.fromEntries(
      Object.keys(node.stage.outputs).map((port) => [port, { artifact: outputs[port]! }]),
    );
    return { outputs: made, ...(memory ? { memory } : {}) };
  }
}

/** A stage that breaks its own word is a fault of the stage, said as such rather than found three nodes later. */
function checkOutputs(stage: Stage, outputs: OutputArtifacts<Ports>): void {
  for (const [port, { kind }] of Object.entries(stage.outputs)) {
    const found = outputs[port]?.kind;
    if (found !== kind) {
      throw new PixstageError(
        "broken_contract",
        `Stage "${stage.name}" broke its contract as output "${port}" must be ${kind}: it is ${
          found ?? "missing"
        }`,
      );
    }
  }
}
