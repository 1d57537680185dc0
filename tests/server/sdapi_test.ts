import assert from "node:assert/strict";
import { parseInfotext } from "../../server/sdapi/infotext.ts";
import { readLoraTags } from "../../server/sdapi/lora_tags.ts";
import { findSampler, SAMPLERS, SCHEDULES } from "../../server/sdapi/samplers.ts";
import { findScheduler } from "../../schedulers/mod.ts";
import { fc } from "../random.ts";

Deno.test("the web UI's samplers are found by name, alias and schedule, in any case", () => {
  const known: readonly [string, string | undefined, string, string][] = [
    ["Euler a", undefined, "Euler a", "euler_a"],
    ["euler A", "Automatic", "Euler a", "euler_a"],
    ["DPM++ 2M", "Karras", "DPM++ 2M Karras", "dpm++2m karras"],
    ["DPM++ 2M Karras", undefined, "DPM++ 2M Karras", "dpm++2m karras"],
    ["DPM++ 2M Karras", "", "DPM++ 2M Karras", "dpm++2m karras"],
    ["DPM++ 2M Karras", "exponential", "DPM++ 2M Exponential", "dpm++2m exponential"],
    ["DPM++ 2M SDE Exponential", undefined, "DPM++ 2M SDE Exponential", "dpm++2m_sde exponential"],
    ["k_dpmpp_2m", "karras", "DPM++ 2M Karras", "dpm++2m karras"],
    ["LCM", undefined, "LCM", "lcm"],
    ["DDIM", undefined, "DDIM", "ddim"],
    ["EulerDiscreteScheduler", undefined, "EulerDiscreteScheduler", "eulerdiscretescheduler"],
  ];
  for (const [name, schedule, found, scheduler] of known) {
    assert.deepEqual(findSampler(name, schedule, "sampler_name"), { name: found, scheduler });
  }
  for (const { scheduler } of SAMPLERS) findScheduler(scheduler);
  assert.equal(new Set(SAMPLERS.map(({ name }) => name)).size, SAMPLERS.length);
});

Deno.test("unknown samplers and schedules and unsupported pairs are refused with the list", () => {
  const refused = (name: string, schedule?: string) => {
    try {
      findSampler(name, schedule, "sampler_name");
    } catch (error) {
      const { code, param, message } = Object(error);
      assert.equal(code, "unknown_scheduler");
      return [param, message];
    }
    throw new Error(`${name} ${schedule} was taken`);
  };
  const [param, message] = refused("DPM adaptive");
  assert.equal(param, "sampler_name");
  for (const { name } of SAMPLERS) assert(message.includes(name), name);
  const [field, schedules] = refused("Euler", "Align Your Steps");
  assert.equal(field, "scheduler");
  for (const { label } of SCHEDULES) assert(schedules.includes(label), label);
  assert.match(refused("DDIM", "Karras")[1], /sampler DDIM does not support the schedule Karras/);
  assert.match(refused("Euler a Karras")[1], /sampler Euler a does not support the schedule Karras/);
});

Deno.test("adapter tags are removed from the prompt, and name served adapters", () => {
  const served = ["pixstage-emoji/chalk", "other/ink", "a/same", "b/same"];
  assert.deepEqual(readLoraTags("a cat <lora:chalk:0.8>, sitting <lora:other/ink>", served), {
    prompt: "a cat , sitting",
    loras: [{ name: "pixstage-emoji/chalk", weight: 0.8 }, { name: "other/ink", weight: 1 }],
  });
  const weight = (tag: string) => readLoraTags(tag, served).loras[0]?.weight;
  assert.equal(weight("<lora:chalk:0.5:0.25>"), 0.25, "the second is that of the denoiser");
  assert.equal(weight("<lora:chalk:te=0.5:unet=0.75>"), 0.75);
  assert.equal(weight("<lora:chalk:-1>"), -1);
  assert.equal(readLoraTags("<lora:same:1>", served).loras[0]?.name, "same", "two end in it");
  assert.deepEqual(readLoraTags("a < b > c  d", served), { prompt: "a < b > c  d", loras: [] });
  for (const tag of ["<lora:>", "<lora::1>", "<lora:chalk:much>", "<hypernet:x:1>", "<lyco:x:1>"]) {
    assert.throws(() => readLoraTags(tag, served), { code: "invalid_value", param: "prompt" }, tag);
  }
});

Deno.test("generation parameters are parsed from the web UI's format", () => {
  const text =
    "a cat,\nwith a hat: red\nNegative prompt: blurry,\nbad\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, " +
    'CFG scale: 4.5, Seed: 7, Size: 512x512, Model: "a, b: \\"c\\"", Denoising strength: 0.5';
  assert.deepEqual(parseInfotext(text), {
    "Prompt": "a cat,\nwith a hat: red",
    "Negative prompt": "blurry,\nbad",
    "Steps": "20",
    "Sampler": "DPM++ 2M",
    "Schedule type": "Karras",
    "CFG scale": "4.5",
    "Seed": "7",
    "Size": "512x512",
    "Model": 'a, b: "c"',
    "Denoising strength": "0.5",
  });
  assert.deepEqual(parseInfotext("just a prompt: yes"), {
    "Prompt": "just a prompt: yes",
    "Negative prompt": "",
  });
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    assert.equal(typeof parseInfotext(text)["Prompt"], "string");
  }));
  const began = performance.now();
  for (const text of [" ", "a", ": ", '"', "\\", 'a: "'].map((part) => part.repeat(2e4))) parseInfotext(text);
  assert(performance.now() - began < 5000, "no text takes disproportionate time");
});
