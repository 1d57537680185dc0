import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { missingInNode } from "../../tools/npm/node_sources.ts";

Deno.test("what the npm package is made of uses nothing that Node 22 lacks", () => {
  assert.deepEqual(missingInNode(fileURLToPath(new URL("../..", import.meta.url))), []);
});
