import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";
import { decodePicture } from "../../images/picture.ts";
import { inputPath } from "../stages/images/picture_goldens.ts";
import { goldenPath } from "../goldens.ts";
import { adapterPath } from "../stages/lora_cases.ts";
import { MODELS, serving } from "./serving.ts";

const PICTURE = Deno.readFileSync(inputPath("scene-64x64"));
const TRANSPARENT = Deno.readFileSync(inputPath("rgba-66x66"));
const BLACK = Deno.readFileSync(inputPath("mask-black-64x64"));
const SMALL = { model: "tiny", prompt: "cute cat", size: "64x48", steps: 3, guidance_scale: 1 } as const;

async function file(bytes: Uint8Array, name = "cat.png") {
  return await toFile(bytes, name, { type: "image/png" });
}

/** OpenAI's client passes additional fields on unchanged. */
async function edit(client: OpenAI, fields: object, image: Uint8Array = PICTURE) {
  const request = { image: await file(image), ...SMALL, ...fields };
  return await client.images.edit(request as unknown as OpenAI.ImageEditParamsNonStreaming);
}

async function pixels(base64: string | undefined): Promise<Uint8Array> {
  return (await decodePicture(Uint8Array.fromBase64(base64!))).pixels.data;
}

Deno.test("OpenAI's client gets edited pictures", async () => {
  await using server = await serving();
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });

  const reply = await edit(client, { n: 2, seed: 5, strength: 0.7, quality: "high", output_format: "webp" });
  assert.equal(reply.data?.length, 2);
  const first = await decodePicture(Uint8Array.fromBase64(reply.data![0]!.b64_json!));
  assert.deepEqual([first.pixels.width, first.pixels.height, first.format], [64, 48, "webp"]);
  assert.match(first.metadata["parameters"]!, /^cute cat\nSteps: 3, .*Denoising strength: 0\.7.*Seed: 5/s);
  assert.deepEqual((reply as unknown as { warnings: string[] }).warnings, [
    "Parameter quality has no effect on these models and was ignored",
  ]);

  // A black mask keeps the picture. Without a mask, the transparent area is repainted.
  const all = await pixels((await edit(client, { seed: 5 })).data![0]!.b64_json);
  const kept = await pixels((await edit(client, { seed: 5, mask: await file(BLACK) })).data![0]!.b64_json);
  const part = await pixels((await edit(client, { seed: 5 }, TRANSPARENT)).data![0]!.b64_json);
  const whole = await pixels(
    (await edit(
      client,
      { seed: 5, mask: await file(Deno.readFileSync(inputPath("mask-white-64x64"))) },
      TRANSPARENT,
    ))
      .data![0]!.b64_json,
  );
  assert.notDeepEqual(kept, all);
  assert.notDeepEqual(part, whole);

  const stream = await client.images.edit({
    image: await file(PICTURE),
    ...SMALL,
    steps: 8,
    seed: 5,
    stream: true,
    partial_images: 2,
  } as unknown as OpenAI.ImageEditParamsStreaming);
  const types: string[] = [];
  for await (const event of stream) types.push(event.type);
  assert.deepEqual(types, ["image_edit.partial_image", "image_edit.partial_image", "image_edit.completed"]);

  const faults: [object, Uint8Array, number, string | null][] = [
    [{ strength: 1.5 }, PICTURE, 400, "strength"],
    [{ strength: 0.1 }, PICTURE, 400, "strength"],
    [{ strength: "much" }, PICTURE, 400, "strength"],
    [{ soft_mask: true }, PICTURE, 400, "soft_mask"],
    [{ n: 999 }, PICTURE, 400, "n"],
    [{ model: "nobody" }, PICTURE, 404, "model"],
    [{ size: "99999x64" }, PICTURE, 400, "size"],
    [{}, new TextEncoder().encode("no picture at all"), 400, "image"],
    [{}, PICTURE.slice(0, 100), 400, "image"],
    [{ mask: await file(BLACK.slice(0, 40)) }, PICTURE, 400, "mask"],
  ];
  for (const [fields, image, status, param] of faults) {
    await assert.rejects(edit(client, fields, image), (error) => {
      assert(error instanceof OpenAI.APIError, String(error));
      assert.equal(error.status, status, error.message);
      assert.equal(error.param, param, error.message);
      return true;
    });
  }
});

Deno.test("OpenAI's client can use LoRAs and a ControlNet in generations and edits", async () => {
  await using server = await serving({
    models: [
      ...MODELS,
      { name: "edges", reference: goldenPath("extras/controlnet/adapters/tiny-alpha-512-control") },
    ],
    loras: [{ name: "sketch", reference: adapterPath("peft-all-a") }],
  });
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  const body = Deno.readFileSync(inputPath("edges-64x64"));
  const { artifact } = await (await server.ask("/v1/pictures", { method: "POST", body })).json();
  const generate = async (fields: object) => {
    const request = { ...SMALL, seed: 5, ...fields } as unknown as OpenAI.ImageGenerateParamsNonStreaming;
    return (await client.images.generate(request)).data![0]!.b64_json!;
  };
  const edited = async (fields: object) => (await edit(client, { seed: 5, ...fields })).data![0]!.b64_json!;
  const further = [
    {},
    { loras: [{ name: "sketch", weight: 0.5 }] },
    { controlnet: "edges", control_image: artifact },
    {
      controlnet: "edges",
      control_image: artifact,
      controlnet_scale: 0.5,
      controlnet_interval: [0, 0.5],
      loras: [{ name: "sketch" }],
    },
  ];
  for (const way of [generate, edited]) {
    // A form contains strings; lists in it are JSON.
    const asForm = (fields: object) =>
      way === generate ? fields : Object.fromEntries(
        Object.entries(fields).map((
          [name, value],
        ) => [name, name === "loras" || name === "controlnet_interval" ? JSON.stringify(value) : value]),
      );
    const made = [];
    for (const fields of further) made.push(await way(asForm(fields)));
    assert.equal(new Set(made).size, further.length, "each makes another picture");
    for (
      const [fields, status, param] of [
        [{ controlnet: "edges" }, 400, "controlnet"],
        [{ control_image: artifact }, 400, "control_image"],
        [{ controlnet: "nowhere", control_image: artifact }, 404, "controlnet"],
        [{ controlnet: "edges", control_image: "../etc" }, 400, "control_image"],
        [{ controlnet: "edges", control_image: "0".repeat(64) }, 400, null],
        [{ controlnet: "edges", control_image: artifact, controlnet_scale: -1 }, 400, "controlnet_scale"],
        [{ loras: [{ name: "nobody" }] }, 404, "loras"],
      ] as const
    ) {
      await assert.rejects(way(asForm(fields)), (error) => {
        assert(error instanceof OpenAI.APIError, String(error));
        assert.deepEqual([error.status, error.param], [status, param], error.message);
        return true;
      });
    }
  }
});
