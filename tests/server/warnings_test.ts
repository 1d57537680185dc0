import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { serving } from "./serving.ts";

const PLUGIN = fileURLToPath(new URL("./warning_plugin.ts", import.meta.url));

const CUT = /^The prompt "(cat ){15}…" has more than 120 tokens: "cat .*" was cut off$/;

Deno.test("replies of the images endpoint include warnings, computed or found in the store", async () => {
  await using server = await serving();
  const request = {
    model: "tiny",
    prompt: "cat ".repeat(200),
    negative_prompt: "dark",
    guidance_scale: 1,
    size: "64x64",
    steps: 2,
    seed: 1,
  };
  for (const run of ["computed", "found"]) {
    const reply = await server.post("/v1/images/generations", request);
    assert.equal(reply.status, 200, run);
    const { warnings } = await reply.json();
    assert.equal(warnings.length, 2, run);
    assert.match(warnings[0], CUT, run);
    assert.equal(
      warnings[1],
      "The negative prompt has no effect without guidance: the guidance scale is 1",
      run,
    );
  }
  const stream = await server.post("/v1/images/generations", { ...request, stream: true });
  const [last] = (await stream.text()).trim().split("\n\n").slice(-1);
  const { type, warnings } = JSON.parse(/^data: (.*)$/m.exec(last!)![1]!);
  assert.equal(type, "image_generation.completed");
  assert.match(warnings[0], CUT);
});

Deno.test("a job includes the warnings of its stages, computed or found in the store", async () => {
  await using server = await serving({ plugins: [PLUGIN] });
  const graph = { pixstage: 1, nodes: { any: { stage: "warns", parameters: {}, inputs: {} } } };
  for (const run of ["computed", "found"]) {
    const { id, events_url } = await (await server.post("/v1/jobs", { graph })).json();
    const events = await (await server.ask(events_url)).text();
    assert.match(events, /"type":"warning","message":"It ran in haste"/, run);
    assert.match(events, run === "computed" ? /"type":"stage:end"/ : /"type":"stage:cached"/);
    const { status, warnings } = await (await server.ask(`/v1/jobs/${id}`)).json();
    assert.deepEqual([status, warnings], ["completed", ["It was prepared in haste", "It ran in haste"]], run);
  }
  const alone = await server.post("/v1/stages/warns", { parameters: {}, inputs: {} });
  assert.deepEqual((await alone.json()).warnings, ["It was prepared in haste", "It ran in haste"]);
});
