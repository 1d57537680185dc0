import assert from "node:assert/strict";
import { basename, dirname } from "node:path";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import { type LoraAdapter, openAdapter } from "../../../models/lora/adapter.ts";
import { parseAdapterName } from "../../../models/lora/adapter_names.ts";
import { adapterDigest } from "../../../models/lora/digest.ts";
import { fitAdapter } from "../../../models/lora/fit_adapter.ts";
import { fc } from "../../random.ts";
import { adapterPath, invalidAdapters, invalidPath, loraAdapters } from "../../stages/lora_cases.ts";
import { openTiny } from "../tiny_checkpoints.ts";

async function open(path: string): Promise<LoraAdapter> {
  if (!path.endsWith(".safetensors")) return await openAdapter(await openDiskSource(path));
  return await openAdapter(await openDiskSource(dirname(path)), {
    file: basename(path),
    name: basename(path),
  });
}

async function model(checkpoint: string) {
  return await (await openTiny(checkpoint, "transformer")).weights();
}

Deno.test("adapters of every format have the reference's layers, ranks and scales", async () => {
  let layers = 0;
  for (const { id, modules, for: checkpoint } of loraAdapters) {
    const { branches, isUnscaled } = fitAdapter(await open(adapterPath(id)), await model(checkpoint));
    assert.deepEqual([...branches.keys()].sort(), Object.keys(modules).sort(), id);
    for (const [module, { r, alpha }] of Object.entries(modules)) {
      const { down, scale } = branches.get(module)!;
      assert.equal(down.shape[0], r, `${id}: ${module}`);
      const divisor = id.includes("rslora") ? Math.sqrt(r) : r;
      assert(Math.abs(scale - (alpha ?? r) / divisor) < 1e-12, `${id}: ${module}: ${scale}`);
      layers++;
    }
    assert.equal(isUnscaled, Object.values(modules).every(({ alpha }) => alpha === null), id);
  }
  assert.equal(loraAdapters.length, 21);
  assert(layers > 250, `${layers}`);
});

/** The expected error of each invalid adapter. */
const SAID: Readonly<Record<string, RegExp>> = {
  "wrong-in": /to_q\.lora_A\.weight must be \[4,48\].*but it is \[4,52\]/,
  "wrong-out": /to_q\.lora_B\.weight must be \[48,4\].*but it is \[40,4\]/,
  "ranks-disagree": /to_q\.lora_B\.weight must be \[48,4\].*but it is \[48,3\]/,
  "rank-not-as-configured": /has rank 4, but its configuration says 8/,
  "missing-b": /lora_B \(lora_up\) is missing/,
  "unknown-target": /lacks 1 of 3 layers, transformer_blocks\.0\.attn3\.to_q/,
  "unknown-block": /lacks 2 of 2 layers, transformer_blocks\.27/,
  dora: /use_dora makes it a DoRA/,
  "dora-in-config-only": /use_dora makes it a DoRA/,
  bias: /bias must be none, but is lora_only/,
  "lora-bias": /lora_bias makes it a LoRA whose branches have biases/,
  "modules-to-save": /modules_to_save makes it a LoRA with additional trained layers/,
  loha: /peft_type must be LORA: current value is LOHA/,
  "no-alpha-in-config": /lora_alpha/,
  nan: /all values of .* must be finite/,
  integer: /must be float32, float16 or bfloat16, but is int8/,
  "no-weights": /contains base_model\.model\.something, which is none of lora_A/,
  lokr: /It is a LoKr/,
  "lokr-lora-prefix": /It is a LoKr/,
  "loha-file": /It is a LoHa/,
  "kohya-dora": /It is a DoRA/,
  "sdxl-kohya": /It adapts a text encoder/,
  "sdxl-diffusers": /down_blocks\.1\..*trained for another model/,
  flux: /single_transformer_blocks\..*trained for another model/,
  "partly-known": /lacks 1 of 2 layers, transformer_blocks\.9/,
  "conv-as-linear": /pos_embed\.proj\.lora_A\.weight must be \[4,4,2,2\]/,
  "up-without-down": /lora_A \(lora_down\) is missing/,
  "alpha-vector": /alpha must be a single number, but has the shape \[4\]/,
  "text-encoder-only": /It adapts a text encoder/,
};

Deno.test("unusable adapters are rejected, each for its own reason", async () => {
  const weights = await model("tiny-alpha-512");
  for (const { id, path } of invalidAdapters) {
    const refused = async () => await adapterDigest(fitAdapter(await open(invalidPath(path)), weights));
    await assert.rejects(refused, { code: "invalid_adapter", message: SAID[id]! }, id);
  }
  assert.equal(invalidAdapters.length, 29);
  assert.deepEqual(invalidAdapters.map(({ id }) => id).sort(), Object.keys(SAID).sort());
});

Deno.test("an adapter of one model is rejected by the others", async () => {
  await assert.rejects(
    async () => fitAdapter(await open(adapterPath("peft-all-a")), await model("tiny-lcm")),
    { code: "invalid_adapter", message: /trained for another model/ },
  );
});

Deno.test("the digest depends on what an adapter computes, not on its file's name or layout", async () => {
  const digest = async (id: string) =>
    await adapterDigest(fitAdapter(await open(adapterPath(id)), await model("tiny-alpha-512")));
  const all = await Promise.all(["peft-all-a", "peft-attn-a", "kohya-a", "file-unet-a"].map(digest));
  assert.equal(new Set(all).size, 4);
  assert.equal(await digest("kohya-a"), all[2]);
});

Deno.test("names in all layouts map back to their layer", () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9]{0,6}(_[a-z0-9]{1,4})?$/).filter((text) =>
    !/^lora|^oft/.test(text)
  );
  const module = fc.array(fc.oneof(word, fc.nat(99).map(String)), { minLength: 1, maxLength: 5 })
    .map((parts) => parts.join(".")).filter((name) =>
      !/^(transformer|unet|base_model|text_encoder)\./.test(name)
    );
  const prefix = fc.constantFrom("", "base_model.model.", "transformer.", "unet.", "unet.base_model.model.");
  const ending = fc.constantFrom(
    ["lora_A.weight", "down"],
    ["lora_A.default.weight", "down"],
    ["lora_B.weight", "up"],
    ["lora.down.weight", "down"],
    ["lora.up.weight", "up"],
    ["alpha", "alpha"],
  );
  fc.assert(fc.property(module, prefix, ending, (layer, prefix, [end, part]) => {
    assert.deepEqual(parseAdapterName(`${prefix}${layer}.${end}`, "x"), { layer, isFlat: false, part });
    const flat = layer.replaceAll(".", "_");
    assert.deepEqual(
      parseAdapterName(`lora_transformer_${flat}.lora_down.weight`, "x"),
      { layer: flat, isFlat: true, part: "down" },
    );
  }));
});
