import assert from "node:assert/strict";
import { toBase64 } from "../../artifacts/base64.ts";
import { pngWith, textChunk, zeros } from "../images/bombs.ts";
import { serving } from "./serving.ts";

Deno.test("a picture with huge or many texts is described in part, while the server keeps answering", async () => {
  await using server = await serving();
  const many = Array.from({ length: 100_000 }, (_, i) => textChunk("tEXt", `k${i}\0a`));
  const bombs = {
    zTXt: pngWith([textChunk("zTXt", "parameters\0\0", zeros(4096, 65))]),
    tEXt: pngWith([textChunk("tEXt", "parameters\0a cat"), ...many]),
  };
  for (const [name, file] of Object.entries(bombs)) {
    const asked = server.post("/sdapi/v1/png-info", { image: toBase64(file) });
    let longest = 0;
    let isOver = false;
    asked.finally(() => isOver = true);
    while (!isOver) {
      const began = performance.now();
      assert.equal((await server.ask("/healthz")).status, 200);
      longest = Math.max(longest, performance.now() - began);
    }
    const { info, items } = await (await asked).json();
    assert.equal(info.length, name === "zTXt" ? 1 << 20 : "a cat".length);
    assert.equal(Object.keys(items).length, name === "zTXt" ? 0 : 999);
    assert(longest < 1000, `${name}: ${longest} ms`);
  }
  const broken = await server.post("/sdapi/v1/png-info", { image: "AAAA" });
  const { error } = await broken.json();
  assert.deepEqual([broken.status, error.code, error.param], [400, "invalid_value", "image"]);
});
