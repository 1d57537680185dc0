import assert from "node:assert/strict";
import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { openComponent } from "../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import { fingerprint } from "../../../models/checkpoint/fingerprint.ts";
import { fc } from "../../random.ts";
import { testOnVariants, tinyCheckpoint, withCopy, withFolder } from "./copies.ts";

async function fingerprintOf(path: string, variant?: string): Promise<string> {
  return await fingerprint(await openComponent(await openDiskSource(path), variant ? { variant } : {}));
}

testOnVariants("fingerprint() is equal for a copy and differs between models and variants", async () => {
  const path = tinyCheckpoint("tiny-alpha-1024");
  const original = await fingerprintOf(path);
  assert.match(original, /^[0-9a-f]{64}$/);
  await withCopy(join(path, "vae"), async (copy) => assert.equal(await fingerprintOf(copy), original));
  const others = await Promise.all([
    fingerprintOf(path, "fp16"),
    fingerprintOf(tinyCheckpoint("tiny-alpha-512")),
    fingerprintOf(tinyCheckpoint("tiny-lcm")),
  ]);
  assert.equal(new Set([original, ...others]).size, 4);
});

Deno.test("fingerprint() sees configuration, header, first and last weight", async () => {
  await withCopy(tinyCheckpoint("tiny-taesd"), async (copy) => {
    const path = join(copy, "diffusion_pytorch_model.safetensors");
    const weights = await Deno.readFile(path);
    const headerEnd = 8 + Number(new DataView(weights.buffer).getBigUint64(0, true));
    const seen = new Set([await fingerprintOf(copy)]);
    for (const place of [20, headerEnd, weights.length - 1]) {
      const changed = weights.slice();
      changed[place] = (changed[place] ?? 0) ^ 1;
      await Deno.writeFile(path, changed);
      seen.add(await fingerprintOf(copy));
    }
    await Deno.writeFile(path, weights);
    const config = join(copy, "config.json");
    await Deno.writeTextFile(config, (await Deno.readTextFile(config)).replace("0.5", "0.25"));
    seen.add(await fingerprintOf(copy));
    assert.equal(seen.size, 5);
  });
});

Deno.test("fingerprint() sees a single bit anywhere in a file of at most 16 MiB", async () => {
  await withCopy(tinyCheckpoint("tiny-alpha-512/vae"), async (copy) => {
    const path = join(copy, "diffusion_pytorch_model.safetensors");
    const weights = await Deno.readFile(path);
    const original = await fingerprintOf(copy);
    const headerEnd = 8 + Number(new DataView(weights.buffer).getBigUint64(0, true));
    const places = fc.integer({ min: headerEnd, max: weights.length - 1 });
    await fc.assert(
      fc.asyncProperty(places, fc.integer({ min: 0, max: 7 }), async (place, bit) => {
        await Deno.writeFile(path, weights.with(place, weights[place]! ^ 1 << bit));
        assert.notEqual(await fingerprintOf(copy), original);
      }),
      { numRuns: 30 },
    );
  });
});

Deno.test("fingerprint() of a file of 20 GB reads little of it", async () => {
  await withFolder(async (folder) => {
    const size = 20e9;
    const header = JSON.stringify({ w: { dtype: "U8", shape: [size], data_offsets: [0, size] } });
    const prefix = new Uint8Array(8);
    new DataView(prefix.buffer).setBigUint64(0, BigInt(header.length), true);
    const path = join(folder, "model.safetensors");
    await Deno.writeFile(path, new Uint8Array([...prefix, ...new TextEncoder().encode(header)]));
    await truncate(path, 8 + header.length + size);
    await Deno.writeTextFile(join(folder, "config.json"), `{"_class_name": "AutoencoderKL"}`);
    const start = performance.now();
    await fingerprintOf(folder);
    assert.ok(performance.now() - start < 2000);
  });
});
