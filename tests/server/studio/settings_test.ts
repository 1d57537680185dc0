import assert from "node:assert/strict";
import type { PictureRequestInput } from "../../../graph/picture_request.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { genCommand } from "../../../server/studio/page/command.ts";
import { readGraph } from "../../../server/studio/page/graph.ts";
import { settingsOf } from "../../../server/studio/page/settings.ts";

const named = (artifact: unknown) => typeof artifact === "string" ? { artifact } : undefined;
const base = { model: "m", prompts: ["a cat"], negativePrompt: "rain", seeds: ["7"], imagesPerPrompt: 1 };

/** Returns the graph of a request, with the server's names for its pictures. */
function graphOf({ image, mask, controlImage, ...request }: Readonly<Record<string, unknown>>) {
  return textToImage(request as PictureRequestInput, {
    image: named(image),
    mask: named(mask),
    controlImage: named(controlImage),
  });
}

Deno.test("the settings beside a picture produce its graph again, and the command includes all of them", () => {
  const more: [fields: object, words: readonly string[]][] = [
    [{}, ["--seed=7"]],
    [{ steps: 4, guidanceInterval: [0, 0.5], stepCache: 0.1 }, [
      "--guidance-interval=0,0.5",
      "--step-cache=0.1",
    ]],
    [{ image: "i1", strength: 0.5 }, ["http://s/i1", "--strength=0.5", "--image=source.png"]],
    [
      { image: "i1", mask: "i2", softMask: true },
      ["http://s/i2", "--image=source.png", "--mask=mask.png", "--soft-mask"],
    ],
    [
      { controlnet: "edges", controlImage: "i3", controlnetScale: 0.5, controlnetInterval: [0, 0.5] },
      ["http://s/i3", "--controlnet=edges", "--controlnet-scale=0.5", "--control-image=control.png"],
    ],
    [{ loras: [{ name: "a", weight: 0.5 }, { name: "b", weight: 1 }] }, ["--lora=a:0.5", "--lora=b:1"]],
    [{ pagScale: 3, pagLayers: ["blocks.1"] }, ["--pag-scale=3", "--pag-layers=blocks.1"]],
    [
      { secondTransformer: "late", secondTransformerFrom: 0.6, image: "i1", mask: "i2" },
      ["--second-transformer=late", "--second-transformer-from=0.6", "--mask=mask.png"],
    ],
  ];
  for (const [fields, words] of more) {
    const graph = graphOf({ ...base, ...fields });
    const settings = settingsOf(readGraph(graph)!, { output: "decode.image", image: 0 });
    const request = settings?.request;
    assert(request, JSON.stringify(fields));
    assert.deepEqual(graphOf(request), graph);
    const command = genCommand(request, (artifact) => `http://s/${artifact}`).split(" ");
    for (const word of words) assert(command.includes(word), `${word} in ${command.join(" ")}`);
  }
});

Deno.test("a picture made from a file on the command line has settings but no request", () => {
  const graph = textToImage(base, { image: { file: "cat.png" } });
  const settings = settingsOf(readGraph(graph)!, { output: "decode.image", image: 0 });
  assert.equal(settings?.prompt, "a cat");
  assert.equal(settings?.further.isBound, true);
  assert.equal(settings?.request, undefined);
});
