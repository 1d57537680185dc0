import assert from "node:assert/strict";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import { storedOrigin } from "../../graph/lineage.ts";
import { describeOrigin } from "../../graph/provenance.ts";
import { runGraph } from "../../graph/run.ts";
import { localRun } from "../../local.ts";
import { goldenPath } from "../goldens.ts";

for (const count of [20, 60]) {
  Deno.test(`the description and the lineage of ${count} nested mixtures do not double each time`, async () => {
    const model = goldenPath("checkpoints/tiny-alpha-512");
    const mixtures = Array.from({ length: count }, (_, index) => {
      const last = index === 0 ? "cat.embeddings" : `mix${index - 1}.embeddings`;
      const inputs = { from: last, to: index % 2 === 0 ? "dog.embeddings" : last };
      return [`mix${index}`, { stage: "interpolate", parameters: { amount: 0.5 }, inputs }] as const;
    });
    const encode = (prompt: string) => ({ stage: "encode", parameters: { model, prompts: [prompt] } });
    const nodes = { cat: encode("cat"), dog: encode("dog"), ...Object.fromEntries(mixtures) };
    const store = new MemoryStore();
    const made = await runGraph({ pixstage: 1, nodes }, localRun({ store, threads: 1 }));
    const { id, artifact, provenance } = made.get(`mix${count - 1}.embeddings`)!;
    assert(String(artifact.metadata["prompts"]).length < 3000);
    assert.equal(Object.keys(provenance.graph.nodes).length, count + 2);
    assert.deepEqual(describeOrigin(await storedOrigin(id, store)).graph, provenance.graph);
  });
}
