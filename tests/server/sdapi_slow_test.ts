import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { encodePng } from "../../images/png.ts";
import { decodePicture } from "../../images/picture.ts";
import { MODELS, type Serving, serving } from "./serving.ts";

const replySchema = z.strictObject({
  images: z.array(z.string()),
  parameters: z.record(z.string(), z.unknown()),
  info: z.string().transform((text) => JSON.parse(text)).pipe(z.looseObject({
    all_seeds: z.array(z.union([z.number(), z.string()])),
    infotexts: z.array(z.string()),
    warnings: z.array(z.string()),
    sampler_name: z.string(),
    steps: z.number(),
    width: z.int(),
    height: z.int(),
    sd_model_name: z.string(),
  })),
});

const progressSchema = z.object({
  progress: z.number().min(0).max(1),
  eta_relative: z.number().nonnegative(),
  state: z.object({ job_count: z.int(), sampling_step: z.int(), sampling_steps: z.int(), job: z.string() }),
  current_image: z.string().nullable(),
});

/** A request that takes the tiny model a moment. */
const SMALL = { prompt: "cat", steps: 2, width: 64, height: 64, cfg_scale: 1, seed: 5 };

async function generate(
  server: Serving,
  body: object,
  path = "txt2img",
): Promise<z.infer<typeof replySchema>> {
  const reply = await server.post(`/sdapi/v1/${path}`, body);
  const answer = await reply.json();
  assert.equal(reply.status, 200, JSON.stringify(answer));
  return replySchema.parse(answer);
}

async function refusal(server: Serving, body: object, path = "txt2img") {
  const reply = await server.post(`/sdapi/v1/${path}`, body);
  const { error, detail } = await reply.json();
  assert.equal(detail, error.message, "FastAPI's clients show it");
  return [reply.status, error.code, error.param];
}

/** The request of the web UI's form for text, with all defaults. */
const FORM = {
  ...SMALL,
  negative_prompt: "",
  styles: [],
  subseed: -1,
  subseed_strength: 0,
  seed_resize_from_h: -1,
  seed_resize_from_w: -1,
  sampler_name: "Euler a",
  batch_size: 1,
  n_iter: 1,
  restore_faces: false,
  tiling: false,
  do_not_save_samples: false,
  do_not_save_grid: false,
  eta: 0,
  denoising_strength: 0,
  s_min_uncond: 0,
  s_churn: 0,
  s_tmax: 0,
  s_tmin: 0,
  s_noise: 1,
  override_settings: {},
  override_settings_restore_afterwards: true,
  refiner_checkpoint: "",
  refiner_switch_at: 0,
  disable_extra_networks: false,
  comments: {},
  enable_hr: false,
  firstphase_width: 0,
  firstphase_height: 0,
  hr_scale: 2,
  hr_upscaler: "Latent",
  hr_second_pass_steps: 0,
  hr_resize_x: 0,
  hr_resize_y: 0,
  hr_checkpoint_name: "",
  hr_sampler_name: "",
  hr_prompt: "",
  hr_negative_prompt: "",
  sampler_index: "Euler",
  script_name: "",
  script_args: [],
  send_images: true,
  save_images: false,
  alwayson_scripts: {},
};

/** Requests of real programs, most popular first. Each gets a picture without a warning. */
const PAYLOADS: Readonly<Record<string, object>> = {
  "the web UI's form": FORM,
  "a chat front end that sends only the size and the count": {
    prompt: "cat",
    batch_size: 1,
    width: 64,
    height: 64,
    steps: 2,
    negative_prompt: "",
  },
  "a role-play front end that sends strings for numbers and its own fields": {
    url: "http://127.0.0.1:7860",
    auth: "",
    prompt: "cat",
    negative_prompt: "worst quality",
    sampler_name: "DPM++ 2M",
    scheduler: "Karras",
    steps: 2,
    cfg_scale: 2,
    width: 64,
    height: 64,
    restore_faces: false,
    enable_hr: false,
    hr_upscaler: "Latent",
    hr_scale: 1,
    denoising_strength: 0.7,
    hr_second_pass_steps: 0,
    seed: "-1",
    override_settings: { CLIP_stop_at_last_layers: 1, sd_vae: "Automatic" },
    override_settings_restore_afterwards: true,
    clip_skip: null,
    save_images: true,
    send_images: true,
    do_not_save_grid: false,
    do_not_save_samples: false,
  },
  "a Python client whose eta is 1": {
    ...FORM,
    eta: 1,
    script_name: null,
    sampler_index: "Euler a",
    styles: null,
  },
  "a mobile app": {
    ...FORM,
    seed: "12",
    subseed: "",
    sampler_name: "DDIM",
    alwayson_scripts: { ControlNet: { args: [] } },
  },
  "a bot that sends numbers as strings": {
    prompt: "cat",
    steps: "2",
    width: "64",
    height: "64",
    cfg_scale: "1.0",
  },
};

/** Returns a picture with two colours as a PNG file in base64. */
function picture(width: number, height: number): string {
  const data = Uint8Array.from(
    { length: width * height * 3 },
    (_, at) => at % 3 === 0 && at < width * height ? 220 : 40,
  );
  return encodePng({ width, height, data }).toBase64();
}

/** Returns a mask that is white in its left half. */
function mask(width: number, height: number): string {
  const data = Uint8Array.from(
    { length: width * height * 3 },
    (_, at) => Math.floor(at / 3) % width < width / 2 ? 255 : 0,
  );
  return encodePng({ width, height, data }).toBase64();
}

async function pixels(base64: string | undefined): Promise<Uint8Array> {
  return (await decodePicture(Uint8Array.fromBase64(base64 ?? ""))).pixels.data;
}

Deno.test("requests of real programs get pictures, and the replies have the web UI's fields", async () => {
  await using server = await serving();
  for (const [who, body] of Object.entries(PAYLOADS)) {
    const { images, parameters, info } = await generate(server, body);
    assert.equal(images.length, 1, who);
    assert.deepEqual(info.warnings, [], who);
    assert.deepEqual([info.width, info.height, info.steps, info.sd_model_name], [64, 64, 2, "tiny"], who);
    assert.match(
      info.infotexts[0]!,
      /^cat\n(?:Negative prompt: .*\n)?Steps: 2, Sampler: .*Seed: \d+, Size: 64x64/,
      who,
    );
    assert.equal(parameters["prompt"], "cat", who);
    assert.equal(parameters["send_images"], true, who);
    assert.equal((await pixels(images[0])).length, 64 * 64 * 3, who);
  }
});

Deno.test("seeds increase over batches, models and samplers are found by name, and images can be omitted", async () => {
  await using server = await serving();
  const { images, info } = await generate(server, {
    ...SMALL,
    batch_size: 2,
    n_iter: 2,
    sampler_name: "DPM++ 2M Karras",
  });
  assert.equal(images.length, 4);
  assert.deepEqual(info.all_seeds, [5, 6, 7, 8]);
  assert.equal(info.sampler_name, "DPM++ 2M Karras");
  const one = await generate(server, { ...SMALL, seed: 7, sampler_name: "k_dpmpp_2m", scheduler: "karras" });
  assert.deepEqual(await pixels(one.images[0]), await pixels(images[2]));
  const { images: none } = await generate(server, { ...SMALL, send_images: false });
  assert.deepEqual(none, []);

  const option = async () => (await (await server.ask("/sdapi/v1/options")).json()).sd_model_checkpoint;
  assert.equal(await option(), "tiny");
  const own = await generate(server, { ...SMALL, override_settings: { sd_model_checkpoint: "tiny-sigma" } });
  assert.equal(own.info.sd_model_name, "tiny-sigma");
  // Chat front ends send back all options with another model.
  const options = await (await server.ask("/sdapi/v1/options")).json();
  const set = await server.post("/sdapi/v1/options", { ...options, sd_model_checkpoint: "tiny-sigma" });
  assert.deepEqual([set.status, await set.json()], [200, null]);
  assert.equal(await option(), "tiny-sigma");
  assert.equal((await generate(server, SMALL)).info.sd_model_name, "tiny-sigma");
  const unknown = await server.post("/sdapi/v1/options", { sd_model_checkpoint: "nobody" });
  assert.equal((await unknown.json()).error.code, "model_not_found");
  const neutral = await server.post("/sdapi/v1/options", { sd_vae: "None", CLIP_stop_at_last_layers: 0 });
  assert.equal(neutral.status, 200);
  const other = await server.post("/sdapi/v1/options", { CLIP_stop_at_last_layers: 2 });
  assert.equal((await other.json()).error.param, "CLIP_stop_at_last_layers");
});

Deno.test("a picture is changed, in part if there is a mask, and its parameters can be read", async () => {
  await using server = await serving();
  const init = picture(64, 64);
  const form = {
    ...FORM,
    sampler_name: "Euler",
    steps: 4,
    init_images: [`data:image/png;base64,${init}`],
    denoising_strength: 0.75,
    resize_mode: 0,
    mask_blur: 4,
    inpainting_fill: 1,
    inpaint_full_res: true,
    inpaint_full_res_padding: 32,
    inpainting_mask_invert: 0,
    initial_noise_multiplier: 1,
    include_init_images: false,
  };
  const whole = await generate(server, form, "img2img");
  assert.equal(whole.parameters["init_images"], null);
  assert.deepEqual(whole.info.warnings, []);
  assert.match(whole.info.infotexts[0]!, /Denoising strength: 0\.75/);
  const part = await generate(server, { ...form, mask: mask(64, 64), include_init_images: true }, "img2img");
  assert.deepEqual(part.parameters["init_images"], form.init_images);
  assert.notDeepEqual(await pixels(part.images[0]), await pixels(whole.images[0]));

  const info = await (await server.post("/sdapi/v1/png-info", { image: part.images[0] })).json();
  assert.equal(info.info, part.info.infotexts[0]);
  assert.equal(info.parameters.Seed, "5");
  const plain = await (await server.post("/sdapi/v1/png-info", { image: `data:image/png;base64,${init}` }))
    .json();
  assert.deepEqual(plain, { info: "", items: {}, parameters: {} });

  const refused = (more: object) => refusal(server, { ...form, ...more }, "img2img");
  assert.deepEqual(await refused({ init_images: [] }), [400, "invalid_value", "init_images"]);
  assert.deepEqual(await refused({ init_images: [init, init] }), [400, "invalid_value", "init_images"]);
  assert.deepEqual(await refused({ init_images: ["http://127.0.0.1/a.png"] }), [
    400,
    "invalid_value",
    "init_images",
  ]);
  assert.deepEqual(await refused({ init_images: ["AAAA"] }), [400, "invalid_value", "init_images"]);
  assert.deepEqual(await refused({ mask: "!" }), [400, "invalid_value", "mask"]);
  assert.deepEqual(await refused({ inpainting_mask_invert: 1 }), [
    400,
    "invalid_value",
    "inpainting_mask_invert",
  ]);
  assert.deepEqual(await refused({ denoising_strength: 2 }), [400, "invalid_value", "denoising_strength"]);
  const warned = await generate(
    server,
    { ...form, mask_blur: 8, resize_mode: 1, inpainting_fill: 2 },
    "img2img",
  );
  assert.equal(warned.info.warnings.length, 3);
});

Deno.test("unsupported fields are refused by name or cause a warning", async () => {
  await using server = await serving();
  const refused: readonly [object, string, string?][] = [
    [{ enable_hr: true }, "enable_hr"],
    [{ tiling: true }, "tiling"],
    [{ subseed_strength: 0.5 }, "subseed_strength"],
    [{ seed_resize_from_w: 512 }, "seed_resize_from_w"],
    [{ script_name: "x/y/z plot" }, "script_name"],
    [{ refiner_checkpoint: "other" }, "refiner_checkpoint"],
    [{ alwayson_scripts: { ADetailer: { args: [true] } } }, "alwayson_scripts"],
    [{ sampler_name: "Restart" }, "sampler_name", "unknown_scheduler"],
    [{ sampler_name: null, sampler_index: "Restart" }, "sampler_index", "unknown_scheduler"],
    [{ sampler_name: "Euler", scheduler: "Turbo" }, "scheduler", "unknown_scheduler"],
    [{ sampler_name: null, scheduler: "Turbo" }, "scheduler", "unknown_scheduler"],
    [{ steps: 0 }, "steps"],
    [{ steps: 1000 }, "steps", "out_of_range"],
    [{ steps: "many" }, "steps"],
    [{ batch_size: 0 }, "batch_size"],
    [{ batch_size: 9, n_iter: 9 }, "batch_size", "out_of_range"],
    [{ width: 1e6 }, "width", "out_of_range"],
    [{ width: 64.5 }, "width"],
    [{ cfg_scale: "high" }, "cfg_scale"],
    [{ prompt: "\u0007" }, "prompt"],
    [{ prompt: "<lora:x:y>" }, "prompt"],
    [{ prompt: "cat <lora:nobody:1>" }, "prompt", "adapter_not_found"],
    [{ prompt: 7 }, "prompt"],
  ];
  for (const [more, param, code = "invalid_value"] of refused) {
    assert.deepEqual(await refusal(server, { ...FORM, ...more }), [
      400 + (code === "adapter_not_found" ? 4 : 0),
      code,
      param,
    ]);
  }
  const none = await refusal(server, { ...FORM, override_settings: { sd_model_checkpoint: "nobody" } });
  assert.deepEqual(none, [404, "model_not_found", "override_settings.sd_model_checkpoint"]);
  const { info } = await generate(server, {
    ...SMALL,
    prompt: "a (red:1.3) cat",
    restore_faces: true,
    styles: ["mine"],
    s_churn: 0.5,
    override_settings: { CLIP_stop_at_last_layers: 2, eta_noise_seed_delta: 31337 },
    distilled_cfg_scale: 3.5,
    scheduler: "Karras",
  });
  assert.equal(info.warnings.length, 8, JSON.stringify(info.warnings));
});

Deno.test("the progress includes previews of the picture, and an interruption ends the job", async () => {
  await using server = await serving();
  const look = async (query = "") =>
    progressSchema.parse(await (await server.ask(`/sdapi/v1/progress${query}`)).json());
  assert.deepEqual(await look(), {
    progress: 0,
    eta_relative: 0,
    state: { job_count: 0, sampling_step: 0, sampling_steps: 0, job: "" },
    current_image: null,
  });
  const running = server.post("/sdapi/v1/txt2img", { ...SMALL, steps: 150, width: 512, height: 512 });
  let seen = await look();
  while (seen.current_image === null) {
    await delay(20);
    seen = await look();
  }
  assert(seen.progress > 0 && seen.state.sampling_step > 0 && seen.state.sampling_steps === 150);
  assert((await pixels(seen.current_image ?? undefined)).length > 0);
  assert.equal((await look("?skip_current_image=true")).current_image, null);
  const interrupted = await server.post("/sdapi/v1/interrupt", {});
  assert.deepEqual([interrupted.status, await interrupted.json()], [200, {}]);
  const { error } = await (await running).json();
  assert.equal(error.code, "cancelled");
  assert.equal((await look()).state.job_count, 0);
});

Deno.test("lists exist, tags select adapters, and the key can be a password", async () => {
  const key = "s3cret";
  await using server = await serving({
    models: [...MODELS, { name: "emoji", reference: "pixstage-emoji" }],
    loras: [{ name: "emoji/chalk", reference: "pixstage-emoji/chalk" }],
    apiKey: key,
  });
  const basic = (password: string) => ({ authorization: `Basic ${btoa(`user:${password}`)}` });
  const read = async (path: string) =>
    await (await server.ask(`/sdapi/v1/${path}`, { headers: basic(key) })).json();
  assert.equal((await server.ask("/sdapi/v1/options")).status, 401);
  assert.equal((await server.ask("/sdapi/v1/options", { headers: basic("wrong") })).status, 401);
  assert.equal(
    (await server.ask("/sdapi/v1/options", { headers: { authorization: "Basic ???" } })).status,
    401,
  );
  assert.deepEqual((await read("sd-models")).map(({ title }: { title: string }) => title), [
    "tiny",
    "tiny-sigma",
    "emoji",
  ]);
  assert.equal((await read("samplers"))[0].name, "DPM++ 2M");
  assert.equal((await read("schedulers"))[1].label, "Karras");
  assert.deepEqual(await read("loras"), [{
    name: "emoji/chalk",
    alias: "chalk",
    path: "emoji/chalk",
    metadata: {},
  }]);
  assert.deepEqual([await read("upscalers"), await read("scripts")], [[], { txt2img: [], img2img: [] }]);
  assert((await read("memory")).ram.used > 0);
  const body = {
    prompt: "cat <lora:chalk:0.8>",
    steps: 2,
    override_settings: { sd_model_checkpoint: "emoji" },
  };
  const reply = await server.post("/sdapi/v1/txt2img", body, basic(key));
  const { info } = replySchema.parse(await reply.json());
  assert.match(info.infotexts[0]!, /LoRAs: pixstage-emoji\/chalk 0.8/);
  assert.equal((await server.post("/sdapi/v1/unload-checkpoint", {}, basic(key))).status, 200);
});
