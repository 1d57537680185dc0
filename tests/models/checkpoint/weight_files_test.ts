import assert from "node:assert/strict";
import { readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readSafetensorsFile } from "../../../artifacts/files_on_disk.ts";
import { encodeSafetensors } from "../../../artifacts/safetensors.ts";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import { LocalModels } from "../../../hub/local_models.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import { fingerprint } from "../../../models/checkpoint/fingerprint.ts";
import { GivenModels } from "../../../models/checkpoint/given_models.ts";
import { openHttpSource } from "../../../models/checkpoint/http_source.ts";
import { type CheckpointPart, COMPONENT_NAMES } from "../../../models/checkpoint/model_index.ts";
import type { Models } from "../../../models/models.ts";
import { byteRange } from "../../../server/byte_range.ts";
import { filesOf, MODEL, withHub } from "../../hub/with_hub.ts";
import { tinyCheckpoint, withCopy, withFolder } from "./copies.ts";

const SIGMA = tinyCheckpoint("tiny-sigma");

/** The expected files by component: diffusers prefers the index, transformers the single file. */
const WINNERS: Readonly<Record<CheckpointPart, RegExp>> = {
  transformer: /^transformer\/diffusion_pytorch_model(\.fp16)?-0000\d-of-00004\.safetensors$/,
  text_encoder: /^text_encoder\/model(\.fp16)?\.safetensors$/,
  vae: /^vae\/diffusion_pytorch_model(\.fp16)?-0000\d-of-00004\.safetensors$/,
};

/** Returns a file with the tensors of a component, all zero. */
function zeros(tensors: Readonly<Record<string, Tensor>>): Uint8Array {
  const values = Object.entries(tensors).map(([name, { shape }]) =>
    [name, tensor("float32", shape, new Float32Array(shape.reduce((a, b) => a * b, 1)))] as const
  );
  const parts = encodeSafetensors(Object.fromEntries(values));
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** Adds the layout without precedence, with weights of zero, to the folder of each component. */
async function addLosers(copy: string): Promise<void> {
  for (const component of COMPONENT_NAMES) {
    const folder = join(copy, component);
    const files = (await readdir(folder)).filter((file) => file.endsWith(".safetensors"));
    const read = await Promise.all(files.map((file) => readSafetensorsFile(join(folder, file))));
    const tensors = Object.assign({}, ...read.map(({ tensors }) => tensors));
    if (component !== "text_encoder") {
      await writeFile(join(folder, "diffusion_pytorch_model.safetensors"), zeros(tensors));
      continue;
    }
    const shard = "model-00001-of-00001.safetensors";
    await writeFile(join(folder, shard), zeros(tensors));
    const map = Object.fromEntries(Object.keys(tensors).map((name) => [name, shard]));
    await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: map }));
  }
}

/** Renames all weights to the names of a variant in diffusers and transformers. */
async function renameToVariant(copy: string): Promise<void> {
  for (const file of filesOf(copy)) {
    if (file.endsWith(".index.json")) {
      const text = await readFile(join(copy, file), "utf8");
      const { weight_map } = JSON.parse(text);
      const map = Object.entries<string>(weight_map).map(([name, shard]) => [name, toVariant(shard)]);
      await writeFile(join(copy, file), JSON.stringify({ weight_map: Object.fromEntries(map) }));
      await rename(join(copy, file), join(copy, file.replace(/json$/, "fp16.json")));
    } else if (file.endsWith(".safetensors")) {
      await rename(join(copy, file), join(copy, toVariant(file)));
    }
  }
}

function toVariant(file: string): string {
  return file.replace(/(-\d{5}-of-\d{5})?\.safetensors$/, ".fp16$1.safetensors");
}

/** Asserts that each component uses the expected weights, and has the fingerprint of only those weights. */
async function assertWinners(models: Models, model: string, variant?: string): Promise<void> {
  const alone = new GivenModels({ alone: await openDiskSource(SIGMA) });
  for (const component of COMPONENT_NAMES) {
    const opened = await models.component({ model, variant }, component);
    const weights = await opened.weights();
    const { paths } = await opened.weightFiles();
    for (const path of paths) assert.match(path, WINNERS[component]);
    const expected = await alone.component({ model: "alone" }, component);
    const stored = await expected.weights();
    for (const name of stored.names.slice(0, 5)) {
      assert.deepEqual(await weights.read(name), await stored.read(name), `${component} ${name}`);
    }
    if (variant === undefined) assert.equal(await fingerprint(opened), await fingerprint(expected));
  }
}

Deno.test("of an index with shards and a single file, each model uses the one that its library prefers", async (t) => {
  await withCopy(SIGMA, async (copy) => {
    await addLosers(copy);
    await t.step("in a folder", () => assertWinners(new LocalModels(), copy));
    await t.step("of each component alone", async () => {
      for (const component of COMPONENT_NAMES) {
        const opened = await new LocalModels().component({ model: join(copy, component) }, component);
        for (const path of (await opened.weightFiles()).paths) {
          assert.match(`${component}/${path}`, WINNERS[component]);
        }
      }
    });
    await t.step("behind HTTP", async () => {
      await using served = serve(copy);
      await assertWinners(new GivenModels({ far: await served.source() }), "far");
    });
    await t.step("on the hub, and in its cache", async () => {
      await withHub(async ({ server, cacheDir }) => {
        await assertWinners(new LocalModels({ endpoint: server.endpoint, cacheDir }), MODEL);
        const asked = server.requests.map(({ path }) => path).filter((path) => path.endsWith(".safetensors"));
        assert.deepEqual(
          asked.filter((path) => /model\.safetensors$/.test(path) && !/text_encoder/.test(path)),
          [],
        );
        await assertWinners(new LocalModels({ cacheDir, localFilesOnly: true }), MODEL);
        await assertWinners(new LocalModels({ endpoint: server.endpoint, fetches: false }), MODEL);
      }, { models: { [MODEL]: { main: copy } } });
    });
    await renameToVariant(copy);
    await t.step("of a variant", () => assertWinners(new LocalModels(), copy, "fp16"));
  });
});

Deno.test("a text encoder with only shards and a transformer with only a single file are found", async () => {
  await withFolder(async (folder) => {
    await writeFile(join(folder, "config.json"), JSON.stringify({ architectures: ["T5EncoderModel"] }));
    const bytes = zeros({ "shared.weight": tensor("float32", [2, 2], new Float32Array(4)) });
    await writeFile(join(folder, "model-00001-of-00001.safetensors"), bytes);
    const map = { "shared.weight": "model-00001-of-00001.safetensors" };
    await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: map }));
    const text = await new LocalModels().component({ model: folder }, "text_encoder");
    assert.deepEqual((await text.weights()).names, ["shared.weight"]);
  });
  const whole = await new LocalModels().component({ model: tinyCheckpoint("tiny-alpha-512") }, "transformer");
  assert.deepEqual((await whole.weightFiles()).paths, ["transformer/diffusion_pytorch_model.safetensors"]);
});

/** Serves a folder with support for ranges. */
function serve(folder: string) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const bytes = await readFile(join(folder, new URL(request.url).pathname));
    const range = byteRange(request.headers.get("range") ?? undefined, bytes.length);
    if (typeof range !== "object") return new Response(Uint8Array.from(bytes));
    return new Response(Uint8Array.from(bytes.subarray(range.start, range.end)), { status: 206 });
  });
  return {
    async source() {
      const sizes = filesOf(folder).map(async (path) =>
        [path, (await stat(join(folder, path))).size] as const
      );
      return openHttpSource(`http://127.0.0.1:${server.addr.port}/`, {
        files: Object.fromEntries(await Promise.all(sizes)),
      });
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
