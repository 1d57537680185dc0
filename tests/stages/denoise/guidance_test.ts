import assert from "node:assert/strict";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import type { RunEvent } from "../../../graph/events.ts";
import type { PictureRequestInput } from "../../../graph/picture_request.ts";
import { runGraph } from "../../../graph/run.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { localRun } from "../../../local.ts";
import { goldenPath } from "../../goldens.ts";
import { ExtraGoldens } from "../extra_goldens.ts";

const local = localRun({ threads: 1 });
const store = new MemoryStore();
const small: PictureRequestInput = {
  model: goldenPath("checkpoints/tiny-alpha-512"),
  prompts: ["cute cat"],
  negativePrompt: "blurry",
  height: 64,
  width: 64,
  resolutionBinning: false,
  steps: 4,
  scheduler: "EulerAncestralDiscreteScheduler",
};

/** Runs a request up to its latents. Returns their id, the nodes that ran, and the warnings. */
async function denoise(request: Partial<PictureRequestInput>) {
  const events: RunEvent[] = [];
  const made = await runGraph(textToImage({ ...small, ...request }), {
    ...local,
    store,
    until: "denoise",
    onEvent: (event) => events.push(event),
  });
  const { id, artifact, provenance } = made.get("denoise.latents")!;
  const ran = events.flatMap((event) => event.type === "stage:start" ? [event.node] : []);
  const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
  return { id, artifact, provenance, ran, warnings };
}

Deno.test("an interval of all steps equals plain guidance, and an empty one equals no guidance", async () => {
  const plain = await denoise({});
  const all = await denoise({ guidanceInterval: [0, 1] });
  assert.equal(all.id, plain.id);
  assert.deepEqual(all.ran, [], "the plain run's result is found");
  const off = await denoise({ guidanceScale: 1 });
  const none = await denoise({ guidanceInterval: [0.5, 0.5] });
  assert.deepEqual(none.artifact.tensors, off.artifact.tensors);
  assert.deepEqual(none.warnings, [
    "The negative prompt has no effect without guidance: no step is guided",
  ]);
  const half = await denoise({ guidanceInterval: [0, 0.5] });
  assert.equal(new Set([plain.id, none.id, half.id]).size, 3);
  assert.deepEqual(half.artifact.metadata["guidanceInterval"], [0, 0.5]);
});

Deno.test("an interval without guidance has no effect and causes a warning", async () => {
  const { id } = await denoise({ guidanceScale: 1, negativePrompt: "" });
  const told = await denoise({ guidanceScale: 1, negativePrompt: "", guidanceInterval: [0, 0.5] });
  assert.equal(told.id, id);
  assert.deepEqual(told.warnings, [
    "guidanceInterval has no effect without guidance: the guidance scale is 1",
  ]);
});

Deno.test("a run that stops before, in or after the interval resumes to the same bytes, and only with the same interval", async () => {
  const request = { guidanceInterval: [0.25, 0.75] } satisfies Partial<PictureRequestInput>;
  const { id } = await denoise(request);
  const { nodes } = textToImage({ ...small, ...request });
  const whole = nodes["denoise"]!;
  const part = { stage: "denoise-part", inputs: whole.inputs! };
  const parts = Object.fromEntries([1, 2, 3].flatMap((stopAfter) => {
    const begin = { ...part, parameters: { ...whole.parameters, stopAfter } };
    const inputs = { checkpoint: `begin${stopAfter}.checkpoint` };
    return [[`begin${stopAfter}`, begin], [`rest${stopAfter}`, { ...whole, inputs }]];
  }));
  const made = await runGraph({ pixstage: 1, nodes: { ...nodes, ...parts } }, {
    ...local,
    store,
    outputs: ["rest1.latents", "rest2.latents", "rest3.latents"],
  });
  for (const step of [1, 2, 3]) assert.equal(made.get(`rest${step}.latents`)!.id, id);

  for (const guidanceInterval of [undefined, [0.25, 1]]) {
    const { guidanceInterval: _before, ...parameters } = whole.parameters ?? {};
    const other = { ...parameters, ...(guidanceInterval ? { guidanceInterval } : {}) };
    const inputs = { checkpoint: "begin2.checkpoint" };
    await assert.rejects(
      runGraph(
        { pixstage: 1, nodes: { ...nodes, ...parts, rest2: { ...whole, parameters: other, inputs } } },
        {
          ...local,
          store,
          until: "rest2",
        },
      ),
      /guidanceInterval must be \[0\.25,0\.75\].*allowChanges/,
    );
  }
});

Deno.test("each prompt has its own negative prompt, and a list of another length is refused", async () => {
  const prompts = ["a cat", "a boat"];
  const listed = await denoise({ prompts, negativePrompt: ["dark", "blurry"] });
  const alone = await denoise({ prompts: ["a boat"], negativePrompt: "blurry", seeds: [1] });
  const all = listed.artifact.tensors["latents"]!.data;
  assert.deepEqual(all.slice(all.length / 2), alone.artifact.tensors["latents"]!.data);
  assert.deepEqual(listed.artifact.metadata["negativePrompts"], ["dark", "blurry"]);
  assert.throws(
    () => textToImage({ ...small, prompts, negativePrompt: ["dark", "blurry", "grey"] }),
    /Cannot use 3 negative prompts: expected 1 or 2/,
  );
});

const goldens = new ExtraGoldens("guidance");
for (const golden of goldens.cases.filter(({ id }) => /-(02|16)-/.test(id))) {
  Deno.test(`guidance in a part of the steps matches the reference: ${golden.id}`, async () => {
    await goldens.match(golden, { request: { guidanceInterval: golden.guidance_interval } });
  });
}
