import assert from "node:assert/strict";
import { join } from "node:path";
import { describeProvenance } from "../../cli/describe_provenance.ts";
import { keyValue } from "../../cli/option_values.ts";
import { resumeGraph } from "../../graph/resume.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

/** Returns a graph whose first node has this name. */
function document(name: string): object {
  return {
    pixstage: 1,
    nodes: {
      [name]: { stage: "encode", parameters: { model: TINY, prompts: ["cat"] } },
      denoise: {
        stage: "denoise",
        parameters: { model: TINY, steps: 2, guidanceScale: 1, width: 64, height: 64 },
        inputs: { embeddings: `${name}.embeddings` },
      },
    },
  };
}

Deno.test("a graph document may name nodes like methods of every object, but not __proto__", async () => {
  await inFolder(async (folder) => {
    const graph = join(folder, "graph.json");
    await Deno.writeTextFile(graph, JSON.stringify(document("constructor")));
    const run = await runHere(folder, "run", graph, "--save", "denoise.latents=latents.safetensors");
    assert.equal(run.status, 0, run.stderr);
    const resumed = await runHere(folder, "resume", "latents.safetensors");
    assert.equal(resumed.status, 0, resumed.stderr);

    await Deno.writeTextFile(graph, JSON.stringify(document("x")).replaceAll('"x', '"__proto__'));
    const refused = await runHere(folder, "run", graph);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /__proto__/);

    const levels = "[".repeat(50_000) + "]".repeat(50_000);
    await Deno.writeTextFile(graph, `{"pixstage":1,"nodes":{"a":${levels}}}`);
    const deep = await runHere(folder, "run", graph);
    assert.equal(deep.status, 2);
    assert.match(deep.stderr, /it is nested too deeply/);
  });
});

Deno.test("no KEY=VALUE option accepts the name __proto__, which schemas of records drop", () => {
  for (const text of ["__proto__=1", "encode.__proto__=1", "a.__proto__.b=1", 'a={"b":{"__proto__":1}}']) {
    assert.throws(() => keyValue(text), { code: "commander.invalidArgument", message: /__proto__/ }, text);
  }
  const named = keyValue("constructor=1", keyValue('toString={"valueOf":2}'));
  assert.deepEqual(Object.entries(named), [["toString", { valueOf: 2 }], ["constructor", 1]]);
});

Deno.test("--scheduler-option and --set refuse unknown names that every object inherits", async () => {
  await inFolder(async (folder) => {
    const graph = join(folder, "graph.json");
    await Deno.writeTextFile(graph, JSON.stringify(document("encode")));
    for (const name of ["__proto__", "constructor", "toString"]) {
      for (
        const [field, ...line] of [
          ["scheduler-option", "plan", "cat", "--model", TINY, "--scheduler-option", `${name}=1`],
          ["set", "run", graph, "--set", `denoise.${name}=1`],
          ["set", "run", graph, "--set", `denoise.schedulerOptions.${name}=1`],
        ] as const
      ) {
        const { status, stderr } = await runHere(folder, ...line);
        assert.equal(status, 2, `${line.join(" ")}: ${stderr}`);
        assert.match(stderr, new RegExp(name), `${field} ${stderr}`);
      }
    }
  });
});

Deno.test("a lineage has no nodes under the names of inherited methods", () => {
  const node = { stage: "decode", parameters: {}, inputs: { latents: "constructor.latents" } };
  const graph = { pixstage: 1 as const, nodes: { decode: node } };
  const provenance = { graph, stages: {}, output: "toString.image" };
  assert(describeProvenance({ ...provenance, output: "decode.image" })["decode"]);
  assert.throws(() => resumeGraph({ provenance }, { decode: true }), { code: "unknown_node" });
});
