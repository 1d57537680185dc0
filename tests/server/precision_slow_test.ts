import assert from "node:assert/strict";
import { withVariables } from "../environment.ts";
import { withFolder } from "../models/checkpoint/copies.ts";
import { type Serving, serving } from "./serving.ts";

const REQUEST = { model: "tiny", prompt: "cute cat", size: "64x64", steps: 2, seed: 1 };

async function picture(server: Serving, fields: object = {}): Promise<string> {
  const reply = await server.post("/v1/images/generations", { ...REQUEST, ...fields });
  const { data, warnings, error } = await reply.json();
  assert.deepEqual([reply.status, warnings], [200, []], error?.message);
  return data[0].b64_json;
}

Deno.test("picture requests have the server's precision unless they name one", async () => {
  await withFolder(async (folder) => {
    // The servers' processes inherit it.
    using _variables = withVariables({ PIXSTAGE_QUANTIZED: folder });
    await using plain = await serving();
    await using quantized = await serving({ precision: { denoise: "int8" } });
    const exact = await picture(plain);
    const small = await picture(quantized);
    assert.notEqual(small, exact);
    assert.equal(await picture(quantized, { precision: "float32" }), exact);
    // A request's precision applies to all stages.
    assert.notEqual(await picture(plain, { precision: "int8" }), small);
  });
});

Deno.test("a job of a picture request has the server's precision", async () => {
  await using server = await serving({ precision: { "*": "float16" } });
  const request = { model: "tiny", prompts: [REQUEST.prompt], steps: 2 };
  const refused = await server.post("/v1/jobs", { request });
  const { error } = await refused.json();
  assert.equal(refused.status, 400, error.message);
  assert.match(error.message, /Cannot compute in float16 on cpu/);
  const exact = await server.post("/v1/jobs", { request: { ...request, precision: { "*": "float32" } } });
  assert.equal(exact.status, 202, await exact.text());
});
