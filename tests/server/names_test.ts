import assert from "node:assert/strict";
import { serving, sseEvents } from "./serving.ts";

/** Names that every object inherits. */
const INHERITED = ["constructor", "toString"];

Deno.test("names that every object inherits work like other names for fields, nodes, ports and options", async () => {
  await using server = await serving();
  const parameters = { model: "tiny", prompts: ["cat"] };
  const code = async (path: string, body: unknown): Promise<[number, string]> => {
    const reply = await server.post(path, body);
    return [reply.status, (await reply.json()).error?.code];
  };
  for (const name of INHERITED) {
    // 1. As a field that OpenAI's API does not have.
    const image = await server.post("/v1/images/generations", {
      model: "tiny",
      prompt: "cat",
      size: "64x64",
      steps: 2,
      [name]: 1,
    });
    const body = await image.json();
    assert.equal(image.status, 200, JSON.stringify(body));
    assert.deepEqual(body.warnings, [`Parameter ${name} is unknown and was ignored`]);

    // 2. As the name of a node, which runs.
    const nodes = {
      [name]: { stage: "encode", parameters },
      denoise: {
        stage: "denoise",
        parameters: { model: "tiny", steps: 2, guidanceScale: 1, width: 64, height: 64 },
        inputs: { embeddings: `${name}.embeddings` },
      },
    };
    const ordered = await server.post("/v1/jobs", { graph: { pixstage: 1, nodes } });
    const { id } = await ordered.json();
    for await (const { event } of sseEvents(await server.ask(`/v1/jobs/${id}/events`))) void event;
    const job = await (await server.ask(`/v1/jobs/${id}`)).json();
    assert.equal(job.status, "completed", JSON.stringify(job.error));
    assert.equal(job.artifacts[`${name}.embeddings`].kind, "embeddings");

    // 3. As the name of something unknown.
    const graph = (node: object) => ({ graph: { pixstage: 1, nodes: { node } } });
    const encode = { stage: "encode", parameters };
    const refused: [string, unknown, [number, string]][] = [
      ["/v1/jobs", graph({ stage: name }), [400, "unknown_stage"]],
      [
        "/v1/jobs",
        graph({ ...encode, parameters: { ...parameters, [name]: 1 } }),
        [400, "invalid_parameter"],
      ],
      ["/v1/jobs", graph({ ...encode, inputs: { [name]: "other.embeddings" } }), [400, "unknown_port"]],
      [
        "/v1/jobs",
        graph({
          stage: "denoise",
          parameters: { model: "tiny" },
          inputs: { embeddings: `${name}.embeddings` },
        }),
        [400, "unknown_node"],
      ],
      ["/v1/jobs", { request: { ...parameters, model: name } }, [404, "model_not_found"]],
      ["/v1/jobs", { request: { ...parameters, scheduler: name } }, [400, "unknown_scheduler"]],
      [
        "/v1/jobs",
        { request: { ...parameters, schedulerOptions: { [name]: 1 } } },
        [400, "invalid_scheduler_option"],
      ],
      ["/v1/jobs", { request: { ...parameters, precision: { [name]: "int8" } } }, [400, "invalid_value"]],
      ["/v1/jobs", { request: parameters, [name]: 1 }, [400, "invalid_value"]],
      [`/v1/stages/${name}`, { parameters }, [404, "stage_not_found"]],
      ["/v1/stages/encode", { parameters: { ...parameters, [name]: 1 } }, [400, "invalid_parameter"]],
      ["/v1/stages/encode", { parameters, inputs: { [name]: "0".repeat(64) } }, [404, "artifact_not_found"]],
      [`/v1/stages/${name}/prepare`, { parameters }, [404, "stage_not_found"]],
      [`/v1/${name}`, {}, [404, "not_found"]],
    ];
    for (const [path, body, expected] of refused) {
      assert.deepEqual(await code(path, body), expected, `${path} ${JSON.stringify(body)}`);
    }
    for (const path of [`/v1/models/${name}`, `/studio/${name}`, `/${name}`]) {
      const reply = await server.ask(path);
      assert.equal(reply.status, 404, path);
      await reply.body?.cancel();
    }
  }
});
