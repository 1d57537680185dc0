import { InputError } from "../../errors/pixstage_error.ts";
import type { EngineResult, EngineRun } from "../../server/engine/engine.ts";
import { HostedEngine } from "../../server/engine/hosted_engine.ts";

/** The real engine, except that its runs end at once, because the fuzzing is about the server. */
export class HastyEngine extends HostedEngine {
  override run({ onEvent }: EngineRun): Promise<EngineResult> {
    onEvent({
      type: "failed",
      elapsedMs: 0,
      error: "InputError",
      code: "out_of_range",
      fault: "caller",
      message: "No",
    });
    return Promise.reject(new InputError("out_of_range", "No"));
  }
}
