import assert from "node:assert/strict";
import { join } from "node:path";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

Deno.test("compare refuses what it cannot compare before it runs anything", async (test) => {
  const refused: [name: string, b: string, fault: RegExp][] = [
    ["a batch", "batch-count=2", /--b makes several pictures: give one prompt, one seed, and no batch/],
    ["seeds", "seed=1,2", /--b makes several pictures/],
    ["more seeds than pictures", "seed=1,2,batch-count=1", /--b makes several pictures/],
    ["more prompts", "prompts-file=prompts.txt", /--b makes several pictures/],
    ["embeddings beside the prompt", "load-embeds=x.safetensors", /a prompt and --load-embeds/],
    ["an option and its alias", "cfg-scale=2", /--b: option '--cfg-scale <x>' cannot be used with option/],
    ["other widths", "width=128", /64 and 128 pixels wide: give both the same width/],
    ["other heights", "height=128", /64 and 128 pixels high: give both the same height/],
    [
      "a flag with a value",
      "wildcards=1",
      /"1" because it is a flag: write wildcards=true or wildcards=false/,
    ],
    ["an unknown option", "nothing=1", /gen has no option --nothing: correct --b/],
    ["a value that gen refuses", "steps=0", /--b: option '--steps <n>' argument '0' is invalid/],
    ["a value that the request refuses", "threads=1,guidance-interval=1,0", /--guidance-interval/],
    ["a flag that it sets itself", "json=false", /--json because compare sets this option itself/],
  ];
  await inFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "prompts.txt"), "a dog\n");
    for (const [name, b, fault] of refused) {
      await test.step(name, async () => {
        const set = "width=64,height=64,guidance-scale=2";
        const args = ["compare", "cat", "-m", TINY, "--set", set, "--a", "steps=2", "--b", b];
        const { status, stderr, stdout } = await runHere(folder, ...args);
        assert.equal(status, 2, stderr);
        assert.match(stderr, fault);
        assert.equal(stdout, "");
      });
    }
  });
});

Deno.test("a command without --output-format refuses an extension that names no format, before it runs", async (test) => {
  await inFolder(async (folder) => {
    const graph = {
      pixstage: 1,
      nodes: {
        prompt: { stage: "encode", parameters: { model: TINY, prompts: ["cat"] } },
        denoise: {
          stage: "denoise",
          parameters: { model: TINY },
          inputs: { embeddings: "prompt.embeddings" },
        },
        decode: { stage: "decode", parameters: { model: TINY }, inputs: { latents: "denoise.latents" } },
      },
    };
    await Deno.writeTextFile(join(folder, "graph.json"), JSON.stringify(graph));
    const commands = [
      ["compare", "cat", "-m", TINY, "--a", "steps=2", "--b", "steps=3", "-o", "x.gif"],
      ["grid", "cat", "-m", TINY, "--x", "steps=2,3", "-o", "x.gif"],
      ["run", "graph.json", "--json", "--save", "decode.image=x.gif"],
    ];
    for (const args of commands) {
      await test.step(args[0]!, async () => {
        const { status, stderr, stdout } = await runHere(folder, ...args);
        assert.equal(status, 2, stderr);
        assert.match(stderr, /"x\.gif" because its extension must be .* \.webp: give another name$/m);
        assert.equal(stdout, "");
      });
    }
  });
});
