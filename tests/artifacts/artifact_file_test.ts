import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fc } from "../random.ts";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { ArtifactError } from "../../artifacts/artifact.ts";
import { artifactId, decodeArtifact, encodeArtifact } from "../../artifacts/artifact_file.ts";
import { canonicalJson } from "../../artifacts/canonical_json.ts";
import { encodeSafetensors } from "../../artifacts/safetensors.ts";
import { tensor } from "../../artifacts/tensor.ts";

const latents = tensor("float32", [1, 2], new Float32Array([1, -2]));

async function fileOf(name: string, metadata: Record<string, string> = {}): Promise<Uint8Array> {
  return await new Blob(encodeSafetensors({ [name]: latents }, metadata) as BlobPart[]).bytes();
}

Deno.test("decodeArtifact() restores what encodeArtifact() wrote", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue({ noUnicodeString: false })), (json) => {
    const metadata = JSON.parse(JSON.stringify(json)) as JsonObject;
    const file = encodeArtifact({ kind: "latents", tensors: { latents }, metadata });
    const artifact = decodeArtifact(file, "a file");
    assert.equal(artifact.kind, "latents");
    assert.deepEqual(artifact.metadata, metadata);
    assert.deepEqual(artifact.tensors.latents, latents);
  }));
});

Deno.test("artifactId() is the SHA-256 of the file and does not depend on the order of keys", async () => {
  const a = { kind: "k", tensors: { a: latents, b: latents }, metadata: { x: 1, y: { p: [1], q: null } } };
  const b = { kind: "k", tensors: { b: latents, a: latents }, metadata: { y: { q: null, p: [1] }, x: 1 } };
  const file = encodeArtifact(a);
  const expected = createHash("sha256").update(file).digest("hex");
  for (const given of [a, b, file]) assert.equal(await artifactId(given), expected);
  assert.notEqual(await artifactId({ ...a, kind: "other" }), expected);
  const shared = new Uint8Array(new SharedArrayBuffer(file.length));
  shared.set(file);
  assert.equal(await artifactId(shared), expected);
});

Deno.test("decodeArtifact() infers the kind of files from other programs", async () => {
  const kinds = { prompt_embeds: "embeddings", latents: "latents", image: "image", "unet.weight": "tensors" };
  for (const [name, kind] of Object.entries(kinds)) {
    const artifact = decodeArtifact(await fileOf(name, { format: "pt" }), "elsewhere");
    assert.equal(artifact.kind, kind);
    assert.equal(artifact.metadata.format, "pt");
  }
});

Deno.test("decodeArtifact() refuses records that it cannot read", async () => {
  const records = [
    "{",
    "[]",
    '{"kind":"k","version":2,"metadata":{}}',
    '{"kind":"","version":1,"metadata":{}}',
    '{"kind":"k","version":1,"metadata":[]}',
    '{"version":1,"metadata":{}}',
  ];
  for (const record of records) {
    const file = await fileOf("latents", { pixstage: record });
    assert.throws(() => decodeArtifact(file, "broken.safetensors"), (error: unknown) => {
      assert(error instanceof ArtifactError);
      return error.message.startsWith('Cannot read "broken.safetensors" as an artifact');
    }, record);
  }
});

Deno.test("canonicalJson() sorts keys, keeps values and refuses values that are not JSON", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const json = JSON.parse(JSON.stringify(value));
    assert.deepEqual(JSON.parse(canonicalJson(json)), json);
  }));
  assert.equal(
    canonicalJson({ b: [1, null], "10": "x", a: { d: -0, c: true } }),
    '{"10":"x","a":{"c":true,"d":0},"b":[1,null]}',
  );
  for (const value of [NaN, Infinity, undefined, () => 1, 1n]) {
    assert.throws(() => canonicalJson({ value: value as never }), { code: "invalid_value" });
  }
});
