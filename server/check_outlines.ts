/**
 * Validates the outlines in a request to prepare a stage: against the stage's ports, and against sizes for
 * which no plan can be computed.
 *
 * @module
 */

import { z } from "zod";
import { type ArtifactOutline, outlineSchema } from "../artifacts/outline.ts";
import { explainZodError } from "../errors/explain_zod_error.ts";
import type { Stage } from "../stages/stage.ts";
import { ApiError } from "./api_error.ts";

/** Maximum size of an axis, and maximum number of tokens of a text. */
const LONGEST_AXIS = 2 ** 24;

const outlinesSchema = z.record(z.string(), outlineSchema);

/**
 * Validates the outlines of the artifacts at a stage's input ports.
 *
 * @param stage The stage.
 * @param inputs The outlines, by port.
 * @returns The outlines.
 * @throws {ApiError} 400 with the first fault.
 */
export function checkOutlines(
  stage: Pick<Stage, "name" | "inputs">,
  inputs: Readonly<Record<string, unknown>>,
): Record<string, ArtifactOutline> {
  const ports = Object.keys(stage.inputs);
  for (const [port, { optional }] of Object.entries(stage.inputs)) {
    if (optional || Object.hasOwn(inputs, port)) continue;
    throw refusal("missing_input", ["inputs", port], `Stage "${stage.name}" needs an input "${port}"`);
  }
  const unknown = Object.keys(inputs).find((port) => !ports.includes(port));
  if (unknown !== undefined) {
    const port = unknown.slice(0, 60);
    const message = `Stage "${stage.name}" has no input "${port}": its inputs are ${
      ports.join(", ") || "none"
    }`;
    throw refusal("unknown_port", ["inputs", port], message);
  }
  const parsed = outlinesSchema.safeParse(inputs);
  if (!parsed.success) {
    const { path, problem } = explainZodError(parsed.error, inputs);
    throw refusal("invalid_value", ["inputs", ...path.map(String)], problem);
  }
  for (const [port, outline] of Object.entries(parsed.data)) {
    const { kind } = stage.inputs[port]!;
    if (outline.kind !== kind) {
      const found = outline.kind.slice(0, 60);
      throw refusal("kind_mismatch", ["inputs", port], `must be of kind ${kind}, but is of kind ${found}`);
    }
    checkSizes(outline, ["inputs", port]);
  }
  return parsed.data;
}

/** Refuses sizes that a plan would divide by, or for which its numbers would not be finite. */
function checkSizes({ shapes, tokens = [] }: ArtifactOutline, path: readonly string[]): void {
  for (const [name, shape] of Object.entries(shapes)) {
    if (shape.every((size) => size > 0 && size <= LONGEST_AXIS)) continue;
    const at = [...path, "shapes", name.slice(0, 60)];
    throw refusal("out_of_range", at, `sizes must be from 1 to ${LONGEST_AXIS}`);
  }
  if (tokens.some((count) => count > LONGEST_AXIS)) {
    throw refusal("out_of_range", [...path, "tokens"], `must be at most ${LONGEST_AXIS}`);
  }
}

function refusal(
  code: "missing_input" | "unknown_port" | "kind_mismatch" | "invalid_value" | "out_of_range",
  path: readonly string[],
  problem: string,
): ApiError {
  const param = path.join(".");
  return new ApiError(code, `${param}: ${problem}`, { param });
}
