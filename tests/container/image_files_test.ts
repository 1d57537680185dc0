import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { PARTS } from "../../tools/npm/node_sources.ts";

Deno.test("an image gets all that the npm package is made of", () => {
  const lines = readFileSync(new URL("../../.dockerignore", import.meta.url), "utf8").split("\n");
  const kept = lines.filter((line) => line.startsWith("!")).map((line) => line.slice(1));
  assert(kept.includes("*.ts"));
  for (const part of PARTS) assert(part.endsWith(".ts") || kept.includes(part), part);
});
