import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import { runGraph } from "../../../graph/run.ts";
import { resumeGraph } from "../../../graph/resume.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { localRun } from "../../../local.ts";
import { createScheduler } from "../../../schedulers/mod.ts";
import { callsBefore } from "../../../stages/denoise/denoising_end.ts";
import { inFolder } from "../../cli/run_cli.ts";
import { goldenPath } from "../../goldens.ts";

const FIRST = goldenPath("checkpoints/tiny-alpha-512");
const local = localRun({ threads: 1 });
const store = new MemoryStore();
const small = {
  model: FIRST,
  prompts: ["cute cat"],
  height: 64,
  width: 64,
  resolutionBinning: false,
  steps: 4,
};

/** Returns the latents of a run in which another transformer performs the steps from the second one on. */
async function latents(second: string | undefined, stopAfter = 2): Promise<string> {
  const { nodes } = textToImage(small);
  const { parameters, inputs } = nodes["denoise"]!;
  const begin = { stage: "denoise-part", parameters: { ...parameters, stopAfter }, inputs: inputs! };
  const rest = {
    stage: "denoise",
    parameters: { ...parameters, ...(second === undefined ? {} : { transformer: second }) },
    inputs: { checkpoint: "begin.checkpoint" },
  };
  const { prompt, negative } = nodes;
  const document = { pixstage: 1, nodes: { prompt: prompt!, negative: negative!, begin, rest } } as const;
  const made = await runGraph(document, { ...local, store, until: "rest" });
  return made.get("rest.latents")!.id;
}

Deno.test("another transformer can continue from a snapshot, and the same one makes the same bytes", async () => {
  await inFolder(async (folder) => {
    const whole = await runGraph(textToImage(small), { ...local, store, until: "denoise" });
    const plain = whole.get("denoise.latents")!.id;
    assert.equal(await latents(undefined), plain);
    const other = join(folder, "other");
    await cp(join(FIRST, "transformer"), other, { recursive: true });
    await changeOneWeight(join(other, "diffusion_pytorch_model.safetensors"));
    const second = await latents(other);
    assert.notEqual(second, plain);
    assert.notEqual(await latents(other, 3), second);
  });
});

Deno.test("a second transformer takes over at a fraction of the schedule", async () => {
  await inFolder(async (folder) => {
    const plain = (await runGraph(textToImage(small), { ...local, store, until: "denoise" }))
      .get("denoise.latents")!.id;
    const other = join(folder, "other");
    await cp(join(FIRST, "transformer"), other, { recursive: true });
    await changeOneWeight(join(other, "diffusion_pytorch_model.safetensors"));
    const made = async (secondTransformer: string, secondTransformerFrom: number, more: object = {}) => {
      const graph = textToImage({ ...small, ...more, secondTransformer, secondTransformerFrom });
      const result = await runGraph(graph, { ...local, store, until: "denoise" });
      return result.get("denoise.latents")!;
    };
    assert.equal((await made(join(FIRST, "transformer"), 0.4)).id, plain);
    const switched = await made(other, 0.4);
    assert.equal(switched.id, await latents(other, 2));
    assert.equal((await made(other, 0.5)).id, await latents(other, 3));

    // Other seeds for both parts, and other settings from a step of the second part on.
    const { provenance, artifact } = switched;
    const { graph, wanted } = resumeGraph({ provenance, artifact }, { seeds: [9], decode: false });
    const again = (await runGraph(graph, { ...local, store, until: wanted.split(".")[0]! })).get(wanted)!;
    assert.equal(again.id, (await made(other, 0.4, { seeds: [9] })).id);
    const changes = { fromStep: 3, guidanceScale: 2, decode: false };
    const turned = resumeGraph({ provenance, artifact }, changes);
    await runGraph(turned.graph, { ...local, store, until: turned.wanted.split(".")[0]! });
    const early = resumeGraph({ provenance, artifact }, { ...changes, fromStep: 1 });
    await assert.rejects(
      runGraph(early.graph, { ...local, store, until: early.wanted.split(".")[0]! }),
      /Cannot stop after step 1 because the snapshot is already at step 2/,
    );
  });
});

Deno.test("a second transformer inherits what the first part's checkpoint recommends", async () => {
  await inFolder(async (folder) => {
    const first = join(folder, "first");
    await cp(FIRST, first, { recursive: true });
    const own = {
      steps: 6,
      guidanceScale: 2.5,
      height: 64,
      width: 48,
      scheduler: "dpm++",
      negativePrompt: "",
    };
    await Deno.writeTextFile(join(first, "pixstage.json"), JSON.stringify(own));
    const other = join(folder, "other");
    await cp(join(FIRST, "transformer"), other, { recursive: true });
    for (const scheduler of [undefined, "heun"]) {
      const request = {
        model: first,
        prompts: ["cute cat"],
        resolutionBinning: false,
        ...(scheduler === undefined ? {} : { scheduler }),
      };
      const run = async (more: object, stopAfter?: number) => {
        const { nodes } = textToImage({ ...request, ...more });
        const { denoise, decode: _decode, ...before } = nodes;
        const parameters = { ...denoise!.parameters, ...(stopAfter === undefined ? {} : { stopAfter }) };
        const stage = stopAfter === undefined ? "denoise" : "denoise-part";
        const graph = { pixstage: 1, nodes: { ...before, denoise: { ...denoise!, stage, parameters } } };
        const made = await runGraph(graph, { ...local, store, until: "denoise" });
        return made.get(stopAfter === undefined ? "denoise.latents" : "denoise.checkpoint")!;
      };
      const whole = await run({});
      const second = { secondTransformer: other, secondTransformerFrom: 0.4 };
      const switched = await run(second);
      // The second transformer has the weights of the first.
      assert.equal(switched.id, whole.id, scheduler);

      // A snapshot of the second part is enough to continue.
      const { provenance, artifact, id } = await run(second, 4);
      const point = { provenance, artifact, input: { artifact: id } };
      const { graph, wanted } = resumeGraph(point, { decode: false });
      assert.equal((await runGraph(graph, { ...local, store })).get(wanted)!.id, whole.id, scheduler);
    }

    // A scheduler of its own is part of the transformer, and has to match.
    await Deno.mkdir(join(other, "scheduler"));
    const file = join(other, "scheduler", "scheduler_config.json");
    await Deno.writeTextFile(file, JSON.stringify({ _class_name: "EulerDiscreteScheduler" }));
    const graph = textToImage({
      model: first,
      prompts: ["cute cat"],
      resolutionBinning: false,
      secondTransformer: other,
      secondTransformerFrom: 0.4,
    });
    await assert.rejects(runGraph(graph, { ...local, store, until: "denoise" }), /scheduler must be/);
  });
});

Deno.test("a second transformer that cannot continue is refused before anything runs", async () => {
  const run = async (fields: object): Promise<unknown> => {
    const graph = textToImage({ ...small, ...fields });
    const events: string[] = [];
    const onEvent = ({ type }: { readonly type: string }) => type === "stage:start" && events.push(type);
    try {
      return await runGraph(graph, { ...local, onEvent, until: "denoise" });
    } finally {
      assert.deepEqual(events, []);
    }
  };
  const sigma = goldenPath("checkpoints/tiny-sigma");
  const own = join(FIRST, "transformer");
  for (
    const [fields, message] of [
      [{ secondTransformer: own }, /both secondTransformer and secondTransformerFrom/],
      [{ secondTransformerFrom: 0.5 }, /both secondTransformer and secondTransformerFrom/],
      [{ secondTransformer: own, secondTransformerFrom: 1 }, /secondTransformerFrom/],
      [{ secondTransformer: own, secondTransformerFrom: 0.999 }, /no step is left for the second/],
      [{ secondTransformer: own, secondTransformerFrom: 0.0001 }, /all steps are left for the second/],
      [{ secondTransformer: sigma, secondTransformerFrom: 0.5 }, /embeddings|channels|shape/],
    ] as const
  ) await assert.rejects(run(fields), message, JSON.stringify(fields));
});

Deno.test("the first part ends at the same whole step as with diffusers' denoising_end", () => {
  const settings = (name: string, steps: number, options = {}) => {
    const scheduler = createScheduler(name, options, { steps });
    return {
      timesteps: scheduler.timesteps,
      schedulerConfig: { num_train_timesteps: 1000 },
      createScheduler: () => scheduler,
    };
  };
  for (const share of [0.2, 0.5, 0.8]) {
    const { timesteps, ...rest } = settings("ddim", 20);
    const cutoff = Math.round(1000 - share * 1000);
    const before = timesteps.filter((timestep) => timestep >= cutoff).length;
    assert.equal(callsBefore(share, { timesteps, ...rest }), before);
    // Heun calls the model twice per step, except in the last.
    assert.equal(callsBefore(share, settings("heun", 20)) % 2, 0);
  }
  // Python rounds the cutoff 200.5 to 200, the timestep of a step.
  assert.equal(callsBefore(0.7995, settings("ddim", 5, { timestep_spacing: "leading" })), 4);
});

/** Inverts the bits of the file's last weight. */
async function changeOneWeight(path: string): Promise<void> {
  const bytes = await Deno.readFile(path);
  bytes[bytes.length - 2]! ^= 0x7f;
  await Deno.writeFile(path, bytes);
}
