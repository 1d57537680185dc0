import assert from "node:assert/strict";
import { goldenPath } from "../goldens.ts";
import { decodePicture } from "../../images/picture.ts";
import { type Serving, serving, sseEvents } from "./serving.ts";

const MODELS = [{ name: "tiny", reference: goldenPath("checkpoints/tiny-alpha-512") }];
const request = { model: "tiny", prompts: ["a cat"], steps: 2, width: 64, height: 64, seeds: ["7"] };

async function order(server: Serving, body: object): Promise<{ id: string }> {
  const reply = await server.post("/v1/jobs", body);
  assert.equal(reply.status, 202, await reply.clone().text());
  return await reply.json();
}

/** Waits for a job, and returns its pictures. */
async function pictures(server: Serving, body: object): Promise<{ pixels: Uint8Array; artifact: string }[]> {
  const { id } = await order(server, body);
  await (await server.ask(`/v1/jobs/${id}/events`)).text();
  const { images } = await (await server.ask(`/v1/jobs/${id}`)).json();
  return await Promise.all(images.map(async ({ url, artifact }: { url: string; artifact: string }) => {
    const file = new Uint8Array(await (await server.ask(url)).arrayBuffer());
    return { pixels: (await decodePicture(file)).pixels.data, artifact };
  }));
}

Deno.test("every client can stream the queue, and finished jobs can be removed", async () => {
  await using server = await serving({ models: MODELS });
  const long = await order(server, { request: { ...request, steps: 60, width: 512, height: 512 } });
  const next = await order(server, { request: { ...request, seeds: ["8"] } });

  const stream = await server.ask("/v1/jobs/events");
  assert.match(stream.headers.get("content-type")!, /^text\/event-stream/);
  const events = sseEvents(stream);
  let state;
  do {
    const { value } = await events.next();
    assert.equal(value?.event, "queue");
    state = JSON.parse(value!.data);
  } while (state.jobs[0]?.progress?.stage !== "denoise");
  const [running, waiting] = state.jobs;
  assert.deepEqual([running.id, running.status, running.progress.stage], [long.id, "running", "denoise"]);
  assert.deepEqual([waiting.id, waiting.status, waiting.queue_position], [next.id, "queued", 0]);
  assert.equal(state.ended, 0);

  const early = await server.ask(`/v1/jobs/${long.id}`, { method: "DELETE" });
  assert.deepEqual([early.status, (await early.json()).error.code], [409, "job_not_over"]);

  await server.ask(`/v1/jobs/${long.id}/cancel`, { method: "POST" });
  do state = JSON.parse((await events.next()).value!.data); while (state.jobs.length > 0);
  assert.equal(state.ended, 2);
  await events.return(undefined);

  const removed = await server.ask(`/v1/jobs/${long.id}`, { method: "DELETE" });
  assert.deepEqual([removed.status, await removed.text()], [204, ""]);
  assert.equal((await (await server.ask(`/v1/jobs/${long.id}`)).json()).error.code, "job_not_found");
  const { data } = await (await server.ask("/v1/jobs")).json();
  assert.deepEqual(data.map(({ id }: { id: string }) => id), [next.id]);
});

Deno.test("a job continues from one picture of several", async () => {
  await using server = await serving({ models: MODELS });
  const several = { ...request, prompts: ["a cat", "a dog"], imagesPerPrompt: 2 };
  const all = await pictures(server, { request: several });
  assert.equal(all.length, 4);
  const artifact = all[0]!.artifact;

  // The third picture: the first of the second prompt, its seed 7 + 2.
  const [same, ...more] = await pictures(server, { resume: { artifact, image: 2, seeds: ["9"] } });
  assert.deepEqual(more, []);
  assert.deepEqual(same!.pixels, all[2]!.pixels);
  const [alone] = await pictures(server, { request: { ...request, prompts: ["a dog"], seeds: ["11"] } });
  const [other] = await pictures(server, { resume: { artifact, image: 2, seeds: ["11"] } });
  assert.deepEqual(other!.pixels, alone!.pixels);
  const turned = await pictures(server, {
    resume: { artifact, image: 3, fromStep: 1, guidanceScale: 4.5 },
  });
  assert.deepEqual(turned.map(({ pixels }) => pixels), [all[3]!.pixels]);

  const beyond = await server.post("/v1/jobs", { resume: { artifact, image: 4, seeds: ["1"] } });
  const { error } = await beyond.json();
  assert.deepEqual([beyond.status, error.code, error.param], [400, "out_of_range", "resume.image"]);
});
