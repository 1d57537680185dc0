import assert from "node:assert/strict";
import { gridGraph } from "../../graph/grid_graph.ts";
import { planGraph } from "../../graph/plan.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { builtInStages } from "../../stages/mod.ts";
import { fc } from "../random.ts";

Deno.test("gridGraph() contains each distinct node once, and assigns each graph its picture", () => {
  const choice = fc.record({
    prompts: fc.constantFrom("cat", "dog").map((prompt) => [prompt]),
    steps: fc.integer({ min: 2, max: 4 }),
    tiling: fc.constantFrom("none" as const, "seamless" as const),
  });
  fc.assert(fc.property(fc.array(choice, { minLength: 1, maxLength: 8 }), (choices) => {
    const graphs = choices.map((choice) => textToImage({ model: "m", ...choice }));
    const { graph, outputs } = gridGraph(graphs, "decode.image");
    planGraph(graph, builtInStages());
    assert.equal(outputs.length, choices.length);
    const distinct = (keys: (choice: typeof choices[number]) => unknown) =>
      new Set(choices.map((choice) => JSON.stringify(keys(choice)))).size;
    const count = (stage: string) => Object.values(graph.nodes).filter((node) => node.stage === stage).length;
    assert.equal(count("encode"), distinct(({ prompts }) => prompts) + 1);
    assert.equal(count("denoise"), distinct(({ prompts, steps }) => [prompts, steps]));
    assert.equal(count("decode"), distinct((choice) => choice));
    outputs.forEach((output, index) => {
      const decode = graph.nodes[output.replace(".image", "")]!;
      assert.deepEqual(decode.parameters, graphs[index]!.nodes["decode"]!.parameters);
      const denoise = graph.nodes[String(decode.inputs!["latents"]).replace(".latents", "")]!;
      assert.deepEqual(denoise.parameters, graphs[index]!.nodes["denoise"]!.parameters);
    });
  }));
});
