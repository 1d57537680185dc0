// This module is browser compatible.

import type { StageReport } from "./stage_report.ts";
import type { LoadProgress } from "../models/segments.ts";

/** Turns the progress of a runner's opening into the event that tells of it. */
export function loadReport(part: string, { index, total, bytes }: LoadProgress): StageReport {
  return { type: "stage:load", part, loaded: index + 1, total, weightBytes: bytes };
}
