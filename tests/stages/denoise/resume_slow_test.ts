import assert from "node:assert/strict";
import { decodeArtifact, encodeArtifact } from "../../../artifacts/artifact_file.ts";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import type { RunEvent } from "../../../graph/events.ts";
import { runGraph } from "../../../graph/run.ts";
import { localRun } from "../../../local.ts";
import { listSchedulers } from "../../../schedulers/mod.ts";
import { goldenPath } from "../../goldens.ts";

const local = localRun();
const model = goldenPath("checkpoints/tiny-alpha-512");
const small = { model, height: 64, width: 64, resolutionBinning: false, steps: 6 };
const encodings = {
  prompt: { stage: "encode", parameters: { model, prompts: ["cute cat", "a boat"] } },
  negative: { stage: "encode", parameters: { model, prompts: [""] } },
  pair: { stage: "pair", inputs: { positive: "prompt.embeddings", negative: "negative.embeddings" } },
  other: { stage: "encode", parameters: { model, prompts: ["a red car", "a moon"] } },
  otherPair: { stage: "pair", inputs: { positive: "other.embeddings", negative: "negative.embeddings" } },
};
const embeddings = "pair.embeddings";

/** All tests share these embeddings. */
const encoded = new MemoryStore();

async function run(
  nodes: Record<string, unknown>,
  outputs: string[],
): Promise<{ ids: string[]; events: RunEvent[] }> {
  const events: RunEvent[] = [];
  const made = await runGraph({ pixstage: 1, nodes: { ...encodings, ...nodes } }, {
    ...local,
    store: encoded,
    outputs,
    onEvent: (event) => events.push(event),
  });
  return { ids: outputs.map((output) => made.get(output)!.id), events };
}

const cases = [
  ...listSchedulers().map(({ name }) => ({ scheduler: name })),
  { scheduler: "DPMSolverMultistepScheduler", schedulerOptions: { algorithm_type: "sde-dpmsolver++" } },
  { scheduler: "DPMSolverMultistepScheduler", schedulerOptions: { solver_order: 3 } },
  { scheduler: "DDIMScheduler", eta: 0.7 },
  { scheduler: "TCDScheduler", eta: 0.6 },
  { scheduler: "SASolverScheduler", schedulerOptions: { predictor_order: 3, corrector_order: 4 } },
];

for (const [index, options] of cases.entries()) {
  Deno.test(`interrupted denoising resumes to the same bytes: ${JSON.stringify(options)}`, async () => {
    const parameters = { ...small, ...options, seeds: [index], imagesPerPrompt: 2 };
    const calls = await callsOf(parameters);
    const early = 1 + index % (calls - 2);
    const late = calls - 1;
    const { ids } = await run({
      whole: { stage: "denoise", parameters, inputs: { embeddings } },
      early: {
        stage: "denoise-part",
        parameters: { ...parameters, stopAfter: early },
        inputs: { embeddings },
      },
      late: {
        stage: "denoise-part",
        parameters: { ...parameters, stopAfter: late },
        inputs: { checkpoint: "early.checkpoint" },
      },
      rest: { stage: "denoise", parameters, inputs: { checkpoint: "late.checkpoint" } },
    }, ["whole.latents", "rest.latents"]);
    assert.equal(ids[1], ids[0]);
  });
}

/** Returns the number of model calls for one image, as the steps of a run report it. */
async function callsOf(parameters: Record<string, unknown>): Promise<number> {
  const first = { ...parameters, imagesPerPrompt: 1 };
  const { events } = await run({ whole: { stage: "denoise", parameters: first, inputs: { embeddings } } }, [
    "whole.latents",
  ]);
  const step = events.find((event) => event.type === "step" && event.stage === "denoise");
  assert.ok(step?.type === "step");
  return step.steps / step.images;
}

Deno.test("guidance and prompt change from a step on only on request", async () => {
  const part = {
    stage: "denoise-part",
    parameters: { ...small, stopAfter: 3 },
    inputs: { embeddings },
  };
  const rest = (parameters: object, inputs: object) => ({
    part,
    rest: {
      stage: "denoise",
      parameters: { ...small, ...parameters },
      inputs: { checkpoint: "part.checkpoint", ...inputs },
    },
  });
  const plain = await run(rest({}, {}), ["rest.latents"]);
  const other = { embeddings: "otherPair.embeddings" };
  await assert.rejects(
    run(rest({ guidanceScale: 9 }, {}), ["rest.latents"]),
    /guidanceScale must be 4.5.*allowChanges/,
  );
  await assert.rejects(run(rest({}, other), ["rest.latents"]), /embeddings must be .*allowChanges/);
  const guided = await run(rest({ guidanceScale: 9, allowChanges: true }, {}), ["rest.latents"]);
  const prompted = await run(rest({ allowChanges: true }, other), ["rest.latents"]);
  assert.equal(new Set([plain.ids[0], guided.ids[0], prompted.ids[0]]).size, 3);
});

Deno.test("a snapshot resumes only its own run", async () => {
  const part = { stage: "denoise-part", parameters: { ...small, stopAfter: 3 }, inputs: { embeddings } };
  for (
    const [change, fault] of [
      [{ seeds: [5] }, /seeds must be/],
      [{ scheduler: "EulerDiscreteScheduler" }, /scheduler must be/],
      [{ steps: 7 }, /timesteps must be/],
      [{ width: 80 }, /shape must be/],
    ] as const
  ) {
    const parameters = { ...small, ...change, allowChanges: true };
    const rest = { stage: "denoise", parameters, inputs: { checkpoint: "part.checkpoint" } };
    await assert.rejects(run({ part, rest }, ["rest.latents"]), fault);
  }
  const late = { ...part, parameters: { ...small, stopAfter: 6 } };
  await assert.rejects(
    run({ late }, ["late.checkpoint"]),
    /Cannot stop after step 6: the run has only 6 steps/,
  );
  const open = { stage: "denoise", parameters: small };
  await assert.rejects(run({ open }, ["open.latents"]), /connect them, or a snapshot that contains them/);
});

Deno.test("a snapshot survives a file", async () => {
  const part = { stage: "denoise-part", parameters: { ...small, stopAfter: 2 }, inputs: { embeddings } };
  const made = await runGraph({ pixstage: 1, nodes: { ...encodings, part } }, {
    ...local,
    store: encoded,
    until: "part",
  });
  const { artifact } = made.get("part.checkpoint")!;
  const read = decodeArtifact(encodeArtifact(artifact), "state.safetensors");
  assert.deepEqual(read.metadata, artifact.metadata);
  assert.deepEqual(encodeArtifact(read), encodeArtifact(artifact));
});
