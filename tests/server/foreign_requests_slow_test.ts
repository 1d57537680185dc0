import assert from "node:assert/strict";
import { decodePicture } from "../../images/picture.ts";
import { MODELS, serving } from "./serving.ts";

const SMALL = { prompt: "cute cat", steps: 2, size: "64x64", guidance_scale: 1 } as const;

/** Returns the text in a picture's metadata. */
async function parametersOf(base64: string): Promise<string> {
  return (await decodePicture(Uint8Array.fromBase64(base64))).metadata["parameters"]!;
}

Deno.test("DALL·E models return links by default, and all others return files", async () => {
  await using server = await serving({
    models: [{ name: "dall-e-3", reference: MODELS[0]!.reference }, ...MODELS],
  });
  const answer = async (fields: object): Promise<string[]> => {
    const { data } = await (await server.post("/v1/images/generations", { ...SMALL, seed: 1, ...fields }))
      .json();
    return Object.keys(data[0]);
  };
  // The payload of LangChain's and LibreChat's tools: no response_format, and their own quality.
  assert.deepEqual(await answer({ model: "dall-e-3", quality: "hd", style: "vivid" }), ["url", "seed"]);
  assert.deepEqual(await answer({ model: "dall-e-3", response_format: "b64_json" }), ["b64_json", "seed"]);
  assert.deepEqual(await answer({ model: "tiny" }), ["b64_json", "seed"]);
  assert.deepEqual(await answer({ model: "tiny", response_format: "url" }), ["url", "seed"]);
});

Deno.test("links work without a key for an hour, and give access to nothing else", async () => {
  await using server = await serving({ apiKey: "secret" });
  const bearer = { authorization: "Bearer secret" };
  const body = {
    ...SMALL,
    model: "tiny",
    response_format: "url",
    output_format: "jpeg",
    output_compression: 50,
  };
  const { data } = await (await server.post("/v1/images/generations", body, bearer)).json();
  const link = new URL(data[0].url);
  const picture = await fetch(link);
  assert.deepEqual([picture.status, picture.headers.get("content-type")], [200, "image/jpeg"]);
  await picture.body?.cancel();
  const seconds = Number(link.searchParams.get("expires")) - Date.now() / 1000;
  assert.ok(seconds > 3590 && seconds <= 3600, `${seconds} seconds`);

  const changes: ((url: URL) => void)[] = [
    (url) => url.searchParams.set("expires", String(Number(url.searchParams.get("expires")) + 1)),
    (url) => url.searchParams.set("format", "png"),
    (url) => url.searchParams.append("thumbnail", "64"),
    (url) => url.searchParams.append("format", "jpeg"),
    (url) => url.searchParams.delete("signature"),
    (url) => url.searchParams.set("signature", "zz"),
    (url) => url.pathname = url.pathname.replace(/0$/, "1"),
    (url) => url.pathname = url.pathname.replace(/\/images\/0$/, ""),
    (url) => url.pathname = "/v1/models",
  ];
  for (const change of changes) {
    const other = new URL(link);
    change(other);
    const reply = await fetch(other);
    assert.equal(reply.status, 401, other.href);
    await reply.body?.cancel();
  }
  const order = await fetch(link, { method: "POST" });
  assert.equal(order.status, 401);
  await order.body?.cancel();
});

Deno.test("names and values of other programs are understood if their meaning is clear", async () => {
  await using server = await serving();
  const make = async (fields: object) => {
    const reply = await server.post("/v1/images/generations", { prompt: "cute cat", model: null, ...fields });
    const { data, warnings, error } = await reply.json();
    return { data, warnings, error };
  };
  const diffusers = await make({
    width: 64,
    height: 96,
    num_inference_steps: 3,
    guidance_scale: 1,
    num_images_per_prompt: 2,
    seed: 5,
  });
  assert.deepEqual(diffusers.warnings, []);
  assert.equal(diffusers.data.length, 2);
  assert.match(await parametersOf(diffusers.data[0].b64_json), /Steps: 3, .*Seed: 5, Size: 64x96/);
  const webUi = await make({ size: "64x64", width: 64, steps: 2, cfg_scale: 2.5, seed: -1 });
  assert.deepEqual(webUi.warnings, []);
  assert.match(await parametersOf(webUi.data[0].b64_json), /Steps: 2, .*CFG scale: 2.5/);
  assert.match(webUi.data[0].seed, /^\d+$/, "drawn, and not -1");
  assert.notEqual((await make({ size: "64x64", steps: 2, seed: "-1" })).data[0].seed, webUi.data[0].seed);

  const both = await make({
    size: "64x64",
    width: 512,
    steps: 2,
    num_inference_steps: 3,
    cfg_scale: 1,
    guidance: 2,
  });
  assert.deepEqual(both.warnings, [
    "Parameter width differs from size and was ignored",
    "Parameter num_inference_steps differs from steps and was ignored",
    "Parameter guidance differs from cfg_scale and was ignored",
  ]);
  const faults: [object, string][] = [
    [{ num_inference_steps: 100_000 }, "num_inference_steps"],
    [{ num_outputs: 999 }, "num_outputs"],
    [{ width: 99_999 }, "width"],
    [{ width: 64.5 }, "width"],
    [{ size: "99999x64" }, "size"],
    [{ guidance: "much" }, "guidance"],
  ];
  for (const [fields, param] of faults) assert.equal((await make(fields)).error.param, param);

  const job = await server.post("/v1/jobs", {
    request: { prompts: ["cat"], steps: 2, width: 64, height: 64 },
  });
  assert.equal(job.status, 202);
  assert.equal((await job.json()).request.model, "tiny", "the default model is named in the job");
});

Deno.test("control characters in prompts are refused by name, before anything runs", async () => {
  await using server = await serving();
  const graph = (prompt: string) => ({
    pixstage: 1,
    nodes: { text: { stage: "encode", parameters: { model: "tiny", prompts: ["cat", prompt] } } },
  });
  const orders: [string, (prompt: string) => object, string][] = [
    ["/v1/images/generations", (prompt) => ({ prompt }), "prompt"],
    ["/v1/images/generations", (prompt) => ({ prompt: "x", negative_prompt: prompt }), "negative_prompt"],
    ["/v1/jobs", (prompt) => ({ request: { prompts: ["cat", prompt] } }), "request.prompts.1"],
    [
      "/v1/jobs",
      (prompt) => ({ request: { prompts: ["cat"], negativePrompt: prompt } }),
      "request.negativePrompt",
    ],
    ["/v1/jobs", (prompt) => ({ graph: graph(prompt) }), "graph.nodes.text.parameters.prompts.1"],
    [
      "/v1/stages/encode",
      (prompt) => ({ parameters: { model: "tiny", prompts: [prompt] } }),
      "parameters.prompts.0",
    ],
  ];
  for (const [path, order, param] of orders) {
    for (const control of ["\0", "\x1b", "\x7f", "\u009b"]) {
      const reply = await server.post(path, order(`a${control}[31m`));
      const { error } = await reply.json();
      assert.equal(reply.status, 400, JSON.stringify(error));
      assert.ok(error.param.endsWith(param), `${path}: ${error.param}`);
      assert.match(error.message, /control characters: character 2 is U\+00(?:00|1B|7F|9B)/);
    }
  }
  const { data } = await (await server.ask("/v1/jobs")).json();
  assert.deepEqual(data, []);
  const fine = await server.post("/v1/images/generations", { ...SMALL, prompt: "a\tb\r\nc 👩‍👩‍👧 \u200f" });
  assert.equal(fine.status, 200);
  await fine.body?.cancel();
});
