import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateImage } from "ai";
import assert from "node:assert/strict";
import OpenAI from "openai";
import { decodePicture } from "../../images/picture.ts";
import { serving } from "./serving.ts";

const SMALL = { size: "64x64", steps: 3, guidance_scale: 2 } as const;

/** OpenAI's client passes additional fields on unchanged. */
function request(fields: object): OpenAI.ImageGenerateParamsNonStreaming {
  return { prompt: "cute cat", model: "tiny", ...SMALL, ...fields } as OpenAI.ImageGenerateParamsNonStreaming;
}

async function pictureOf(base64: string | undefined) {
  return await decodePicture(Uint8Array.fromBase64(base64!));
}

Deno.test("OpenAI's client gets pictures, lists models and understands errors", async () => {
  await using server = await serving();
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });

  const models = (await client.models.list()).data.map(({ id }) => id);
  assert.deepEqual(models, ["tiny", "tiny-sigma"]);
  assert.equal((await client.models.retrieve("tiny-sigma")).object, "model");

  const reply = await client.images.generate(request({ n: 2, seed: 5, quality: "hd", nonsense: 1 }));
  assert.equal(reply.data?.length, 2);
  const [first, second] = await Promise.all(reply.data!.map(({ b64_json }) => pictureOf(b64_json)));
  assert.deepEqual([first!.pixels.width, first!.pixels.height, first!.format], [64, 64, "png"]);
  assert.match(first!.metadata["parameters"]!, /^cute cat\nSteps: 3, .*Seed: 5/s);
  assert.match(second!.metadata["parameters"]!, /Seed: 6/);
  assert.deepEqual((reply as unknown as { warnings: string[] }).warnings, [
    "Parameter quality has no effect on these models and was ignored",
    "Parameter nonsense is unknown and was ignored",
  ]);

  const again = await client.images.generate(
    request({ seed: "6", output_format: "webp", output_compression: 80 }),
  );
  assert.equal((await pictureOf(again.data?.[0]?.b64_json)).format, "webp");

  const linked = await client.images.generate(request({ seed: 5, response_format: "url" }));
  const file = await fetch(linked.data![0]!.url!);
  assert.deepEqual(
    (await decodePicture(await file.bytes())).pixels,
    first!.pixels,
    "the same seed gives the same picture",
  );

  const faults: [object, number, string | null][] = [
    [{ model: "nobody" }, 404, "model"],
    [{ size: "99999x64" }, 400, "size"],
    [{ size: "big" }, 400, "size"],
    [{ n: 999 }, 400, "n"],
    [{ steps: 100_000 }, 400, "steps"],
    [{ prompt: "x".repeat(9000) }, 400, "prompt"],
    [{ scheduler: "nonsense" }, 400, "scheduler"],
    [{ guidance_interval: [0.6, 0.4] }, 400, "guidance_interval"],
    [{ guidance_interval: [0, 2] }, 400, "guidance_interval.1"],
    [{ guidance_interval: "0,0.5" }, 400, "guidance_interval"],
    [{ step_cache: 0 }, 400, "step_cache"],
    [{ step_cache: 1.5 }, 400, "step_cache"],
    [{ precision: "int9" }, 400, "precision"],
    [{ precision: "float16" }, 400, "precision"],
    [{ pag_scale: -1 }, 400, "pag_scale"],
    [{ pag_scale: 3, pag_layers: ["(a+)+"] }, 400, "pag_layers.0"],
    [{ pag_scale: 3, pag_layers: ["blocks.99"] }, 400, "pag_layers"],
    [{ model: "../../etc/passwd" }, 404, "model"],
  ];
  for (const [fields, status, param] of faults) {
    await assert.rejects(client.images.generate(request(fields)), (error) => {
      assert(error instanceof OpenAI.APIError);
      assert.equal(error.status, status, error.message);
      assert.equal(error.param, param, error.message);
      assert(error.message.length > 10 && error.type && error.code);
      return true;
    });
  }
});

Deno.test("OpenAI's client streams previews and the picture", async () => {
  await using server = await serving();
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  const stream = await client.images.generate({
    ...request({ steps: 8, seed: 3 }),
    stream: true,
    partial_images: 3,
  } as OpenAI.ImageGenerateParamsStreaming);
  const types: string[] = [];
  let last: string | undefined;
  for await (const event of stream) {
    types.push(event.type);
    if (event.type === "image_generation.partial_image") {
      assert.equal(event.partial_image_index, types.length - 1);
    }
    last = event.b64_json;
    assert((await pictureOf(last)).pixels.width > 0);
  }
  assert.deepEqual(types, [
    ...Array(3).fill("image_generation.partial_image"),
    "image_generation.completed",
  ]);
  const plain = await client.images.generate(request({ steps: 8, seed: 3 }));
  assert.equal(plain.data![0]!.b64_json, last, "streamed or not, the picture is the same");
});

Deno.test("the AI SDK gets pictures, and its provider options reach the model", async () => {
  await using server = await serving();
  const provider = createOpenAICompatible({ name: "pixstage", baseURL: `${server.url}/v1` });
  const { images } = await generateImage({
    model: provider.imageModel("tiny"),
    prompt: "cute cat",
    n: 2,
    size: "64x64",
    maxRetries: 0,
    providerOptions: { pixstage: { seed: 5, steps: 3, guidance_scale: 2 } },
  });
  assert.equal(images.length, 2);
  const { metadata, pixels } = await decodePicture(images[0]!.uint8Array);
  assert.equal(pixels.width, 64);
  assert.match(metadata["parameters"]!, /Steps: 3, .*Seed: 5/s);
  await assert.rejects(
    generateImage({ model: provider.imageModel("nobody"), prompt: "x", maxRetries: 0 }),
    /There is no model "nobody"/,
  );
});
