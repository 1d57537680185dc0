import assert from "node:assert/strict";
import { artifactId, encodeArtifact } from "../../artifacts/artifact_file.ts";
import { readPictureArtifact } from "../../images/picture_artifact.ts";
import { goldenPath } from "../goldens.ts";
import { MODELS, serving, sseEvents } from "./serving.ts";

const EDGES = { name: "edges", reference: goldenPath("extras/controlnet/adapters/tiny-alpha-512-control") };

Deno.test("a ControlNet is found in the server's list, and is not a model itself", async () => {
  await using server = await serving({ models: [...MODELS, EDGES] });
  const { controlnets, transformers } = await (await server.ask("/v1/capabilities")).json();
  assert.deepEqual(controlnets, ["edges"]);
  assert.ok(!transformers.includes("edges"));
  const { data } = await (await server.ask("/v1/models")).json();
  assert.deepEqual(data.map(({ id }: { id: string }) => id), ["tiny", "tiny-sigma"]);

  const picture = await readPictureArtifact(await Deno.readFile(goldenPath("extras/inputs/edges-64x64.png")));
  const id = await artifactId(picture);
  const body = encodeArtifact(picture);
  assert.ok((await server.ask(`/v1/artifacts/${id}`, { method: "PUT", body })).ok);
  const size = { model: "tiny", width: 64, height: 64, resolutionBinning: false };
  const graph = (controlnet: string, more: object = {}) => ({
    graph: {
      pixstage: 1,
      nodes: {
        prompt: { stage: "encode", parameters: { model: "tiny", prompts: ["cat"] } },
        control: {
          stage: "encode-image",
          parameters: { ...size, posterior: "mode" },
          inputs: { image: { artifact: id } },
        },
        denoise: {
          stage: "denoise",
          parameters: { ...size, steps: 2, guidanceScale: 1, controlnet, ...more },
          inputs: { embeddings: "prompt.embeddings", control: "control.latents" },
        },
      },
    },
  });
  const ordered = await (await server.post("/v1/jobs", graph("edges"))).json();
  for await (const { event } of sseEvents(await server.ask(ordered.events_url))) void event;
  const job = await (await server.ask(`/v1/jobs/${ordered.id}`)).json();
  assert.equal(job.status, "completed", JSON.stringify(job.error));

  const request = {
    ...size,
    prompts: ["cat"],
    steps: 2,
    guidanceScale: 1,
    seeds: [0],
    controlnet: "edges",
    controlImage: id,
  };
  const asked = await (await server.post("/v1/jobs", { request })).json();
  for await (const { event } of sseEvents(await server.ask(asked.events_url))) void event;
  const made = await (await server.ask(`/v1/jobs/${asked.id}`)).json();
  assert.equal(made.status, "completed", JSON.stringify(made.error));
  assert.equal(made.images.length, 1);
  const { controlImage: _left, ...without } = request;
  const lacking = await server.post("/v1/jobs", { request: without });
  assert.deepEqual([lacking.status, (await lacking.json()).error.param], [400, "request.controlnet"]);

  const refused: [string, object, string, string][] = [
    [EDGES.reference, {}, "model_not_found", "graph.nodes.denoise.parameters.controlnet"],
    ["../../etc/passwd", {}, "model_not_found", "graph.nodes.denoise.parameters.controlnet"],
    ["tiny", {}, "model_not_found", "graph.nodes.denoise.parameters.controlnet"],
    ["edges", { controlnetScale: -1 }, "invalid_parameter", "graph.nodes.denoise.parameters.controlnetScale"],
    [
      "edges",
      { controlnetInterval: [1, 0] },
      "invalid_parameter",
      "graph.nodes.denoise.parameters.controlnetInterval",
    ],
  ];
  for (const [controlnet, more, code, param] of refused) {
    const reply = await server.post("/v1/jobs", graph(controlnet, more));
    const { error } = await reply.json();
    assert.deepEqual([error.code, error.param], [code, param]);
    assert.ok(reply.status === 400 || reply.status === 404);
  }
});
