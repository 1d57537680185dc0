import assert from "node:assert/strict";
import { checkJson } from "../../server/json_bounds.ts";
import { DEFAULT_LIMITS } from "../../server/limits.ts";
import { type Serving, serving } from "./serving.ts";

/** Longest time in milliseconds until an answer. The body itself takes most of it. */
const LONGEST_MS = 2000;

const LONG = 20_000_000;

interface Refusal {
  readonly status: number;
  readonly code: string;
}

/** Expects a short refusal within the time. */
async function refusedSoon(ask: () => Promise<Response>, expected: Refusal, what: string): Promise<void> {
  const began = performance.now();
  const reply = await ask();
  const text = await reply.text();
  const waited = performance.now() - began;
  assert.deepEqual({ status: reply.status, code: JSON.parse(text).error.code }, expected, what);
  assert.ok(waited < LONGEST_MS, `${what}: it took ${waited} ms`);
  assert.ok(text.length < 2000, `${what}: ${text.length} characters`);
}

/** Sends a form with a picture and more fields. */
function edit(server: Serving, fields: readonly (readonly [string, string])[]): Promise<Response> {
  const boundary = "pixstage-form";
  const parts = [
    ['image"; filename="cat.png', "no picture"] as const,
    ["prompt", "cat"] as const,
    ["model", "tiny"] as const,
    ...fields,
  ].map(([name, value]) =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  );
  return server.ask("/v1/images/edits", {
    method: "POST",
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    body: `${parts.join("")}--${boundary}--\r\n`,
  });
}

Deno.test("a field as long as a request is refused at once, and is not repeated in the answer", async () => {
  await using server = await serving();
  const invalid = { status: 400, code: "invalid_value" };
  const large = { status: 413, code: "too_large" };
  const unknown = { status: 400, code: "unknown_scheduler" };

  const image =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const sd = (fields: object) => () =>
    server.post("/sdapi/v1/img2img", { prompt: "cat", init_images: [image], ...fields });
  await refusedSoon(sd({ seed: "1".repeat(LONG) }), invalid, "seed");
  await refusedSoon(sd({ sampler_name: "x".repeat(LONG) }), unknown, "sampler_name");

  const form = (field: readonly [string, string]) => () => edit(server, [field]);
  await refusedSoon(form(["scheduler", "x".repeat(LONG)]), invalid, "scheduler with an invalid picture");
  await refusedSoon(form(["keep_alive", "1h".repeat(LONG / 2)]), invalid, "keep_alive");
  await refusedSoon(form(["seed", "1".repeat(LONG)]), invalid, "seed in a form");
  await refusedSoon(form(["loras", `[${"{},".repeat(LONG / 3)}{}]`]), large, "loras");
  await refusedSoon(form(["loras", "[".repeat(100_000)]), large, "nested loras");
  await refusedSoon(form(["x".repeat(2000), "1"]), invalid, "a name");
  const many = Array.from({ length: 300_000 }, (_, field) => [`f${field}`, "1"] as const);
  await refusedSoon(() => edit(server, many), large, "fields");

  const order = { request: { model: "tiny", prompts: ["cat"], scheduler: "x".repeat(900_000) } };
  await refusedSoon(() => server.post("/v1/jobs", order), unknown, "scheduler");
});

Deno.test("a form may have 64 fields, and no more", async () => {
  await using server = await serving();
  const fields = (count: number) => Array.from({ length: count }, (_, field) => [`f${field}`, "1"] as const);
  const problem = async (count: number) => (await (await edit(server, fields(count - 3))).json()).error.code;
  assert.equal(await problem(64), "invalid_value", "the names are unknown");
  assert.equal(await problem(65), "too_large");
});

Deno.test("blanks after a string take a scan of the text no more time than other characters", () => {
  const began = performance.now();
  checkJson(`{"prompt"${" ".repeat(31_000_000)}:"cat"}`, DEFAULT_LIMITS);
  const waited = performance.now() - began;
  assert.ok(waited < 800, `It took ${waited} ms`);
});
