import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { type Serving, serving } from "./serving.ts";

const REQUEST = { model: "tiny", prompts: ["cute cat"], seeds: [3], steps: 4, width: 64, height: 64 };

async function completed(server: Serving, body: object) {
  const reply = await server.post("/v1/jobs", body);
  const { id, error } = await reply.json();
  assert.equal(reply.status, 202, error?.message);
  for (;;) {
    const job = await (await server.ask(`/v1/jobs/${id}`)).json();
    if (job.status === "completed") return { ...job, events: await eventsOf(server, id) };
    assert(job.status === "queued" || job.status === "running", JSON.stringify(job.error));
    await delay(20);
  }
}

/** Returns the types and nodes of a job's events. */
async function eventsOf(server: Serving, id: string): Promise<string[]> {
  const text = await (await server.ask(`/v1/jobs/${id}/events`)).text();
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!))
    .map(({ type, node }) => `${type} ${node}`);
}

Deno.test("a job continues from a finished picture with other settings, and unchanged parts are not run again", async () => {
  await using server = await serving();
  const first = await completed(server, { request: REQUEST });
  const [{ artifact }] = first.images;
  const resume = (changes: object) => completed(server, { resume: { artifact, ...changes } });

  const otherSeed = await resume({ seeds: [4] });
  const fresh = await completed(server, { request: { ...REQUEST, seeds: [4] } });
  assert.equal(otherSeed.images[0].artifact, fresh.images[0].artifact);
  assert.deepEqual(
    otherSeed.events.filter((event: string) => /^stage:(cached|start) (enc|neg)/.test(event)),
    [
      "stage:cached encode",
      "stage:cached encode-2",
    ],
  );

  const otherDecoder = await resume({ vae: "tiny-sigma" });
  assert(otherDecoder.images[0].artifact !== artifact);
  assert(otherDecoder.events.includes("stage:cached denoise"));

  const turned = await resume({ fromStep: 2, guidanceScale: 2, prompts: ["a boat"] });
  assert(turned.images[0].artifact !== artifact);
  assert.equal(turned.events.filter((event: string) => event.startsWith("step denoise")).length, 4);
});

Deno.test("impossible continuations are refused with the reason before anything runs", async () => {
  await using server = await serving();
  const { images: [{ artifact }], artifacts } = await completed(server, { request: REQUEST });
  const refused = async (resume: object) => {
    const reply = await server.post("/v1/jobs", { resume });
    const { error } = await reply.json();
    return [reply.status, error.code, error.param];
  };
  assert.deepEqual(await refused({ artifact: "0".repeat(64) }), [
    404,
    "artifact_not_found",
    "resume.artifact",
  ]);
  assert.deepEqual(await refused({ artifact }), [400, "invalid_value", "resume"]);
  assert.deepEqual(await refused({ artifact, seeds: [1], fromStep: 2 }), [400, "invalid_value", "resume"]);
  assert.deepEqual(await refused({ artifact, stepsMore: 2 }), [400, "invalid_value", "resume"]);
  assert.deepEqual(await refused({ artifact, vae: "other" }), [
    404,
    "model_not_found",
    "resume.nodes.decode.parameters.model",
  ]);
  assert.equal((await refused({ artifact: artifacts["denoise.latents"].id, decode: false }))[0], 400);
  const both = await server.post("/v1/jobs", { resume: { artifact }, request: REQUEST });
  assert.equal(both.status, 400);
});
