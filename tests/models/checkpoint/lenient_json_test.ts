import assert from "node:assert/strict";
import { fc } from "../../random.ts";
import { parseLenientJson } from "../../../models/checkpoint/lenient_json.ts";

Deno.test("parseLenientJson() reads numbers that Python writes and JSON does not allow", () => {
  const text = `{"a": -Infinity, "b": Infinity, "c": NaN, "d": [1e-05, "NaN"]}`;
  assert.deepEqual(parseLenientJson(text, "x.json"), { a: -Infinity, b: Infinity, c: NaN, d: [1e-5, "NaN"] });
});

Deno.test("parseLenientJson() reads all of JSON", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
    const text = JSON.stringify(value);
    assert.deepEqual(parseLenientJson(text, "x.json"), JSON.parse(text));
  }));
});

Deno.test("parseLenientJson() names the file, the line and the column", () => {
  assert.throws(() => parseLenientJson(`{\n  "a": inf\n}`, "vae/config.json"), {
    name: "CheckpointError",
    message: /vae\/config.json as JSON: .*2:8/,
  });
  for (const text of ["[]", "null", "1"]) {
    assert.throws(() => parseLenientJson(text, "x.json"), {
      name: "CheckpointError",
      message: /JSON object/,
    });
  }
});
