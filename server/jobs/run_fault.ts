import { EngineError } from "../engine/engine.ts";
import type { Job } from "./job.ts";
import { NotKeptError } from "./store_space.ts";

/** The error of a job as clients see it. The details of a fault of the server go to its log alone. */
export function toError(fault: unknown): NonNullable<Job["error"]> {
  if (fault instanceof EngineError) {
    if (fault.isClientFault) return { code: "invalid_request", message: fault.message };
    return {
      code: fault.errorName,
      message: "The run failed for a reason that lies with the server: see its log",
    };
  }
  if (fault instanceof NotKeptError) {
    return { code: fault.bytes > 0 ? "disk_full" : "not_kept", message: fault.message };
  }
  return { code: "internal", message: "The run failed for a reason that lies with the server: see its log" };
}
