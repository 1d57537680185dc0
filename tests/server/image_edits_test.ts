import assert from "node:assert/strict";
import { encodePicture } from "../../images/picture.ts";
import { inputPath } from "../stages/images/picture_goldens.ts";
import { type Serving, serving, sseEvents } from "./serving.ts";

const PICTURE = Deno.readFileSync(inputPath("scene-64x64"));
const TRANSPARENT = Deno.readFileSync(inputPath("rgba-66x66"));

/** Sends a form. */
async function send(
  server: Serving,
  form: FormData,
): Promise<{ status: number; code: string; param: unknown }> {
  const reply = await server.ask("/v1/images/edits", { method: "POST", body: form });
  const { error } = await reply.json();
  return { status: reply.status, code: error.code, param: error.param };
}

Deno.test("invalid and too large forms are refused", async () => {
  await using server = await serving({ limits: { maxUploadBytes: 50_000, maxPicturePixels: 64 * 64 } });
  const form = (fields: Record<string, string | Blob | Blob[]>): FormData => {
    const made = new FormData();
    for (const [name, value] of Object.entries(fields)) {
      for (const one of [value].flat()) made.append(name, one as Blob);
    }
    return made;
  };
  const picture = new Blob([PICTURE]);
  assert.deepEqual(await send(server, form({ prompt: "cat" })), {
    status: 400,
    code: "invalid_value",
    param: "image",
  });
  assert.equal((await send(server, form({ prompt: "cat", image: "cat.png" }))).param, "image");
  assert.equal((await send(server, form({ prompt: "cat", "image[]": [picture, picture] }))).param, "image");
  assert.equal((await send(server, form({ image: picture }))).param, "prompt");
  assert.equal((await send(server, form({ image: picture, prompt: picture }))).param, "prompt");
  assert.equal(
    (await send(server, form({ image: new Blob([new Uint8Array(60_000)]), prompt: "cat" }))).status,
    413,
  );
  const large = { width: 80, height: 64, data: new Uint8Array(3 * 80 * 64) };
  const wide = new Blob([await encodePicture(large, { format: "png" })]);
  assert.deepEqual(await send(server, form({ image: wide, prompt: "cat" })), {
    status: 400,
    code: "out_of_range",
    param: "image",
  });
  const many = form({ image: picture, prompt: "cat" });
  for (let i = 0; i < 70; i++) many.append(`f${i}`, "1");
  assert.equal((await send(server, many)).status, 413);
  const json = await server.post("/v1/images/edits", { prompt: "cat" });
  assert.deepEqual([json.status, (await json.json()).error.code], [415, "unsupported_media_type"]);
  const broken = await server.ask("/v1/images/edits", {
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=x" },
    body: "--y\r\nnothing",
  });
  assert.equal(broken.status, 400);
  await broken.body?.cancel();
});

Deno.test("jobs start from uploaded pictures", async () => {
  await using server = await serving();
  const upload = async (body: Uint8Array<ArrayBuffer>) =>
    await server.ask("/v1/pictures", { method: "POST", headers: { "content-type": "image/png" }, body });
  const reply = await upload(TRANSPARENT);
  assert.equal(reply.status, 201);
  const { artifact, transparent, width, height } = await reply.json();
  assert.deepEqual([width, height], [66, 66]);
  assert.match(transparent, /^[0-9a-f]{64}$/);
  const opaque = await (await upload(PICTURE)).json();
  assert.equal(opaque.transparent, null);
  for (const body of [new Uint8Array(), new TextEncoder().encode("text")]) {
    const refused = await upload(body);
    assert.equal(refused.status, 400);
    await refused.body?.cancel();
  }

  const request = {
    model: "tiny",
    prompts: ["cat"],
    width: 64,
    height: 48,
    resolutionBinning: false,
    steps: 3,
  };
  const order = async (fields: object) =>
    await server.post("/v1/jobs", { request: { ...request, ...fields } });
  const job = await (await order({ image: artifact, mask: transparent, strength: 0.7 })).json();
  const events = await server.ask(`/v1/jobs/${job.id}/events`);
  let last = "";
  for await (const { event } of sseEvents(events)) last = event;
  assert.equal(last, "done");
  const missing = await order({ image: "0".repeat(64) });
  assert.equal(missing.status, 400);
  await missing.body?.cancel();
  const alone = await order({ mask: transparent });
  assert.deepEqual([alone.status, (await alone.json()).error.param], [400, "request.mask"]);
});
