import assert from "node:assert/strict";
import { searchText, searchWords } from "../../server/jobs/search_text.ts";
import { fc } from "../random.ts";

/** Returns whether a search finds a job. */
function finds(query: string, job: unknown): boolean {
  const text = searchText(job);
  return searchWords(query).every((word) => text.includes(word));
}

function jobOf(parameters: Record<string, unknown>, request: Record<string, unknown> | null = null): object {
  return { request, graph: { nodes: { a: { parameters }, b: {} } } };
}

Deno.test("a job is found by prompts, negative prompts, seeds and names, in any case and composition", () => {
  const job = jobOf(
    {
      prompts: ["Ein Café am Fluß"],
      model: "PixArt",
      seeds: [7123, "18446744073709551615"],
      loras: [{ name: "chalk" }],
    },
    { prompts: ["{a|b}"], negativePrompt: "blurry", scheduler: "Euler a" },
  );
  const found = [
    "café",
    "CAFE\u0301",
    "fluß ein",
    "712",
    "18446744073709551615",
    "pixart",
    "chalk",
    "blur",
    "EULER",
    "{a|b}",
    " ",
  ];
  for (const query of found) assert(finds(query, job), query);
  for (const query of ["cafe", "ein zwei", "prompts", "graph", "null"]) assert(!finds(query, job), query);
});

Deno.test("values that are not jobs match no search and throw no errors", () => {
  for (const job of [undefined, null, "cat", {}, { graph: 1 }, { request: 5, graph: { nodes: [] } }]) {
    assert.equal(searchText(job), "");
  }
});

Deno.test("every part of a prompt finds its job", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", maxLength: 60 }),
      fc.nat(),
      fc.nat(),
      (prompt, from, length) => {
        const words = searchWords(prompt);
        const word = words[from % Math.max(words.length, 1)] ?? "";
        const part = [...word].slice(0, 1 + length).join("");
        assert(finds(prompt, jobOf({ prompts: [prompt] })));
        assert(searchText(jobOf({ prompts: [prompt] })).includes(part));
      },
    ),
  );
});
