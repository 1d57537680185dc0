import { EngineError } from "../engine/engine.ts";
import type { Job } from "./job.ts";
import { NotKeptError } from "./store_room.ts";

/** What is told of a fault. Faults of the server keep their details to themselves. */
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
