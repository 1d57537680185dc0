import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { createServer } from "../../server/create_server.ts";
import { adapterPath, invalidPath } from "../stages/lora_cases.ts";
import { inFolder } from "../cli/run_cli.ts";
import { MODELS, serving } from "./serving.ts";

const SMALL = { prompt: "cute cat", model: "tiny", size: "64x64", steps: 2, seed: 1 };
const LORAS = [{ name: "sketch", reference: adapterPath("peft-all-a") }];

/** Creates a folder with an adapter for each of two models, and an unusable one. */
async function withLoras(work: (folder: string) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    await cp(adapterPath("kohya-a"), join(folder, "painted.safetensors"));
    await cp(adapterPath("peft-all-c"), join(folder, "other-model"), { recursive: true });
    await cp(invalidPath("lokr.safetensors"), join(folder, "lokr.safetensors"));
    await work(folder);
  });
}

Deno.test("the server lists LoRAs with the models that they fit, and applies them in pictures, jobs and stages", () =>
  withLoras(async (loraFolder) => {
    const skipped: unknown[] = [];
    await using server = await serving({
      loras: LORAS,
      loraFolder,
      log: (event, entry) => event === "lora_skipped" && skipped.push(entry?.["lora"]),
    });
    assert.deepEqual(skipped, ["lokr"]);
    const { data } = await (await server.ask("/v1/loras")).json();
    assert.deepEqual(data, [
      { id: "sketch", object: "lora", layers: 37, models: ["tiny"] },
      { id: "other-model", object: "lora", layers: data[1].layers, models: ["tiny-sigma"] },
      { id: "painted", object: "lora", layers: 37, models: ["tiny"] },
    ]);
    const capabilities = await (await server.ask("/v1/capabilities")).json();
    assert.deepEqual(capabilities.loras, ["sketch", "other-model", "painted"]);
    assert.equal(capabilities.features.loras, true);

    const picture = async (fields: object): Promise<string> => {
      const reply = await server.post("/v1/images/generations", { ...SMALL, ...fields });
      const body = await reply.json();
      assert.equal(reply.status, 200, JSON.stringify(body));
      return body.data[0].b64_json;
    };
    const plain = await picture({});
    const sketched = await picture({ loras: [{ name: "sketch" }] });
    assert.notEqual(sketched, plain);
    assert.notEqual(await picture({ loras: [{ name: "sketch", weight: 0.5 }] }), sketched);
    assert.notEqual(await picture({ loras: [{ name: "sketch" }, { name: "painted" }] }), sketched);

    const refusals: [string, object, number, string, string, RegExp][] = [
      [
        "/v1/images/generations",
        { loras: [{ name: "skech" }] },
        404,
        "adapter_not_found",
        "loras",
        /Did you mean "sketch"/,
      ],
      [
        "/v1/images/generations",
        { loras: [{ name: LORAS[0]!.reference }] },
        404,
        "adapter_not_found",
        "loras",
        /no LoRA/,
      ],
      [
        "/v1/images/generations",
        { loras: [{ name: "other-model" }] },
        400,
        "invalid_adapter",
        "loras",
        /tiny/,
      ],
      [
        "/v1/images/generations",
        { loras: [{ name: "sketch", weight: "x" }] },
        400,
        "invalid_value",
        "loras",
        /weight/,
      ],
      ["/v1/images/generations", { loras: "sketch" }, 400, "invalid_value", "loras", /loras/],
      [
        "/v1/images/generations",
        { loras: Array(17).fill({ name: "sketch" }) },
        400,
        "invalid_value",
        "loras",
        /at most 16/,
      ],
    ];
    for (const [path, fields, status, code, param, message] of refusals) {
      const reply = await server.post(path, { ...SMALL, ...fields });
      const { error } = await reply.json();
      assert.deepEqual([reply.status, error.code], [status, code], JSON.stringify(error));
      assert(error.param.startsWith(param), error.param);
      assert.match(error.message, message);
    }
    const job = await server.post("/v1/jobs", {
      request: { model: "tiny", prompts: ["cat"], loras: [{ name: "/etc/passwd" }] },
    });
    assert.deepEqual([job.status, (await job.json()).error.param], [404, "request.loras"]);
    const node = { stage: "denoise", parameters: { model: "tiny", loras: [{ name: "../x" }] } };
    const graph = await server.post("/v1/jobs", { graph: { pixstage: 1, nodes: { node } } });
    assert.equal(graph.status, 404);
    const { parameters } = node;
    const stage = await server.post("/v1/stages/denoise/prepare", { parameters, inputs: {} });
    assert.equal((await stage.json()).error.code, "adapter_not_found");
  }));

Deno.test("a server does not start with an unusable LoRA", async () => {
  const store = await Deno.makeTempDir();
  try {
    for (const [path, code] of [["dora", "invalid_adapter"], ["nowhere", "adapter_not_found"]] as const) {
      const loras = [{ name: "bad", reference: invalidPath(path) }];
      await assert.rejects(createServer({ store, models: MODELS, loras }), {
        code,
        message: /^Cannot serve the LoRA "bad": /,
      });
    }
  } finally {
    await Deno.remove(store, { recursive: true });
  }
});
