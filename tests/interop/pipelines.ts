/**
 * Compares random calls of diffusers' PixArt pipelines with pixstage. See README.md.
 *
 * @module
 */

import { z } from "zod";
import { goldenPath, hasGolden } from "../goldens.ts";
import { referenceOf } from "./command_line.ts";
import { knownPipelineDifference, type Shapes } from "./known_pipeline_differences.ts";
import { compareCall, type Deviations, largestShare, NO_FLOORS } from "./pipeline_deviation.ts";
import { type PipelineCall, pipelineCallSchema, type PipelineResult } from "./pipeline_call.ts";
import { type PixstageCall, pixstageCall } from "./pixstage_call.ts";
import { DIFFERS, EQUAL, type Outcome, Tally, WITHIN_FLOOR } from "./tally.ts";

const CHECKPOINTS = ["tiny-alpha-512", "tiny-alpha-1024", "tiny-sigma", "tiny-lcm"]
  .map((name) => `checkpoints/${name}`);
const floorsSchema = z.record(z.string(), z.array(z.number()));

const source = referenceOf("pipelines.py", 2000, CHECKPOINTS.filter(hasGolden).map(goldenPath));
const tally = new Tally();
const beyond: { readonly call: PipelineCall; readonly deviations: Deviations }[] = [];
for await (const line of source.draw()) {
  const call = pipelineCallSchema.parse(JSON.parse(line));
  const outcome = await compare(call);
  if ("rule" in outcome) tally.add(call.checkpoint, outcome, subjectOf(call));
  else beyond.push(outcome);
}
let index = 0;
for await (const line of beyond.length > 0 ? source.floors(beyond.map(({ call }) => subjectOf(call))) : []) {
  const { call, deviations } = beyond[index++]!;
  const { share, what } = largestShare(deviations, floorsSchema.parse(JSON.parse(line)));
  const rule = share <= 1 ? WITHIN_FLOOR : knownPipelineDifference(call, {}) ?? DIFFERS;
  tally.add(call.checkpoint, { rule, share, what }, subjectOf(call));
}
tally.report();
if (!tally.isExplained) Deno.exitCode = 1;

/** Compares a call. If it exceeds the base limits, the comparison waits for the call's own noise floor. */
async function compare(call: PipelineCall): Promise<Outcome | (typeof beyond)[number]> {
  const { result } = call;
  const theirs = "error" in result
    ? result.error
    : result.finalLatents.every(Number.isFinite)
    ? undefined
    : "NaN";
  const made = await pixstageCall(call);
  const ours = "error" in made ? made.error : undefined;
  if ("error" in made || "error" in result || theirs !== undefined) {
    const what = `here: ${ours ?? "a picture"}; diffusers: ${theirs ?? "a picture"}`;
    return { rule: knownPipelineDifference(call, { ours, theirs }) ?? DIFFERS, what };
  }
  const shapes = shapesOf(made, result);
  if (!areEqual(shapes)) {
    return {
      rule: knownPipelineDifference(call, { shapes }) ?? DIFFERS,
      what: `shapes ${JSON.stringify(shapes)}`,
    };
  }
  const deviations = compareCall(made, result);
  const { share, what } = largestShare(deviations, NO_FLOORS);
  return share <= 1 ? { rule: EQUAL, share, what } : { call, deviations };
}

function shapesOf(ours: PixstageCall, theirs: PipelineResult): Shapes {
  return {
    latents: { ours: ours.shape, theirs: theirs.shape },
    image: { ours: ours.image.shape, theirs: theirs.imageShape },
  };
}

function areEqual({ latents, image }: Shapes): boolean {
  return [latents, image].every(({ ours, theirs }) => String(ours) === String(theirs));
}

function subjectOf({ result: _result, ...subject }: PipelineCall) {
  return subject;
}
