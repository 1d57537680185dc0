import assert from "node:assert/strict";
import { unpackEmbeddings } from "../../../artifacts/embeddings.ts";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import type { Tensor } from "../../../artifacts/tensor.ts";
import type { RunEvent } from "../../../graph/events.ts";
import type { PictureRequestInput } from "../../../graph/picture_request.ts";
import { prepareRun } from "../../../graph/prepared_run.ts";
import { runGraph } from "../../../graph/run.ts";
import type { RunOptions } from "../../../graph/run_options.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { localRun } from "../../../local.ts";
import { openComponent } from "../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import { PixArtTransformerConfig } from "../../../models/pixart/transformer_config.ts";
import { controlledStepSegments, controlTextGraph } from "../../../models/pixart/control_net.ts";
import { pixartTextGraph } from "../../../models/pixart/transformer.ts";
import { positionEmbedding } from "../../../models/pixart/position_embedding.ts";
import { timestepEmbedding } from "../../../models/pixart/timestep_embedding.ts";
import { SegmentedModel } from "../../../models/segments.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { resolveControl } from "../../../stages/denoise/control.ts";
import { goldenJson, goldenPath } from "../../goldens.ts";
import { fc } from "../../random.ts";
import { caseRequest } from "../golden_cases.ts";
import { controlGoldens, controlNetPath, matchControl } from "./control_case.ts";

const local = localRun({ threads: 1 });
const store = new MemoryStore();
const EDGES = goldenPath("extras/inputs/edges-64x64.png");
const CONTROL = controlNetPath("tiny-alpha-512-control");
const small: PictureRequestInput = {
  model: goldenPath("checkpoints/tiny-alpha-512"),
  prompts: ["cute cat"],
  height: 64,
  width: 64,
  resolutionBinning: false,
  steps: 4,
};

async function denoise(request: Partial<PictureRequestInput>, options: Partial<RunOptions> = {}) {
  const events: RunEvent[] = [];
  const controlImage = request.controlnet === undefined ? undefined : { file: EDGES };
  const made = await runGraph(textToImage({ ...small, ...request }, { controlImage }), {
    ...local,
    store,
    until: "denoise",
    onEvent: (event) => events.push(event),
    ...options,
  });
  const { id, artifact } = made.get("denoise.latents")!;
  const ran = events.flatMap((event) => event.type === "stage:start" ? [event.node] : []);
  const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
  return { id, artifact, ran, warnings };
}

Deno.test("diffusers' rule decides which calls a ControlNet controls", () => {
  const { cases } = goldenJson<{
    cases: {
      guidance_interval?: [number, number];
      facts: { guidance_on_by_the_controlnet_rule?: boolean[] };
    }[];
  }>("extras/guidance/manifest.json");
  let compared = 0;
  for (const { guidance_interval, facts: { guidance_on_by_the_controlnet_rule: expected } } of cases) {
    if (!guidance_interval || !expected) continue;
    const control = resolveControl(
      { controlnet: "any", controlnetInterval: guidance_interval },
      expected.length,
    );
    assert.deepEqual(expected.map((_, call) => control?.isOn(call) ?? false), expected);
    compared++;
  }
  assert.equal(compared, 12);
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(fc.property(share, share, fc.integer({ min: 1, max: 200 }), (a, b, calls) => {
    const controlnetInterval: [number, number] = [Math.min(a, b), Math.max(a, b)];
    const control = resolveControl({ controlnet: "any", controlnetInterval }, calls);
    const on = Array.from({ length: calls }, (_, call) => control?.isOn(call) ?? false);
    assert.ok(
      on.lastIndexOf(true) - on.indexOf(true) + 1 === on.filter((one) => one).length || !on.includes(true),
    );
    assert.equal(control !== undefined, on.includes(true));
  }));
});

Deno.test("the residuals of each block match the reference", async () => {
  const golden = controlGoldens.cases[0]!;
  const stored = controlGoldens.tensors(golden);
  const { model, height, width } = caseRequest(golden);
  const nodes = textToImage(caseRequest(golden)).nodes;
  const encoded = await runGraph({
    pixstage: 1,
    nodes: { negative: nodes["negative"]!, prompt: nodes["prompt"]! },
  }, { ...local, store });
  const component = await openComponent(await openDiskSource(model), { component: "transformer" });
  const control = await openComponent(await openDiskSource(CONTROL), { component: "controlnet" });
  const config = PixArtTransformerConfig.parse(component.config);
  const weights = await component.weights();
  const net = { blocks: 2, weights: await control.weights() };
  const runtime = new OnnxRuntimeNode({ threads: 1 });
  const exposed = (name: string): boolean => name.startsWith("control.");
  const step = new SegmentedModel(runtime, controlledStepSegments(config, weights, net, { exposed }));
  const text = new SegmentedModel(runtime, [
    pixartTextGraph(config, weights, { givesText: true }),
    controlTextGraph(config, net),
  ]);
  const size = { rows: height! / 16, columns: width! / 16 };
  const position = positionEmbedding(size.rows, size.columns, {
    width: config.num_attention_heads * config.attention_head_dim,
    baseSize: config.sample_size / config.patch_size,
    interpolationScale: config.interpolation_scale,
  });
  const residuals: Float32Array[][] = [];
  const outputs: Float32Array[] = [];
  for (const name of ["negative", "prompt"]) {
    const [embedding] = unpackEmbeddings(encoded.get(`${name}.embeddings`)!.artifact).prompts;
    const made = await step.run({
      ...await text.run({ encoder_hidden_states: embedding! }),
      latents: stored["initial_noise"]!,
      timestep: timestepEmbedding([Number(stored["timesteps"]!.data[0])]),
      position_columns: position.columns,
      position_rows: position.rows,
      control_latents: stored["control_latents"]!,
      control_scale: tensor("float32", [], Float32Array.of(1)),
    });
    const values = (name: string) => (made[name] as Tensor<"float32">).data;
    residuals.push([0, 1].map((block) => values(`control.residual.${block}`)));
    outputs.push(values("sample"));
  }
  const byBlock = [0, 1].flatMap((block) => residuals.flatMap((rows) => [...rows[block]!]));
  controlGoldens.hold(golden, "control_residuals_first", Float32Array.from(byBlock));
  controlGoldens.hold(golden, "model_output_first", Float32Array.from(outputs.flatMap((row) => [...row])));
});

Deno.test("scale 0 and an interval without a step turn it off, and nothing is encoded", async () => {
  const plain = await denoise({});
  for (
    const [off, told] of [
      [{ controlnetScale: 0 }, "The ControlNet has no effect: its scale is 0"],
      [{ controlnetInterval: [0.3, 0.4] }, "The ControlNet has no effect: no step is controlled"],
    ] as const
  ) {
    const { id, ran, warnings } = await denoise(
      { controlnet: CONTROL, ...off } as Partial<PictureRequestInput>,
    );
    assert.equal(id, plain.id);
    assert.deepEqual(ran, []);
    assert.deepEqual(warnings, [told]);
  }
  const told = await denoise({ controlnetScale: 0.5 });
  assert.equal(told.id, plain.id);
  assert.deepEqual(told.warnings, ["controlnetScale has no effect without a ControlNet"]);
});

Deno.test("the default size is that of the control picture", async () => {
  const wide = { file: goldenPath("extras/inputs/edges-96x64.png") };
  const { model, prompts } = small;
  const { nodes } = textToImage({ model, prompts, controlnet: CONTROL, steps: 2, guidanceScale: 1 }, {
    controlImage: wide,
  });
  const { memory, nodes: ready } = await prepareRun({ pixstage: 1, nodes }, {
    ...local,
    store: new MemoryStore(),
    until: "denoise",
    isTrial: true,
  });
  assert.deepEqual(memory.problems, []);
  const denoising = ready.find(({ id }) => id === "denoise")!;
  assert.deepEqual(denoising.prepared.outputs?.["latents"]?.metadata["size"], { height: 416, width: 608 });
});

Deno.test("streamed weights support it, and an interrupted run resumes to the same bytes", async () => {
  const request = { controlnet: CONTROL, controlnetInterval: [0.25, 0.75] as [number, number], pagScale: 2 };
  const { id } = await denoise(request);
  assert.notEqual((await denoise({ controlnet: CONTROL, pagScale: 2 })).id, id);
  const streamed = await denoise(request, { residency: { denoise: "stream" }, store: new MemoryStore() });
  assert.equal(streamed.id, id);
  const { nodes } = textToImage({ ...small, ...request }, { controlImage: { file: EDGES } });
  const whole = nodes["denoise"]!;
  for (const stopAfter of [1, 3]) {
    const begin = { ...whole, stage: "denoise-part", parameters: { ...whole.parameters, stopAfter } };
    const rest = (parameters: object) => ({
      ...whole,
      parameters: { ...whole.parameters, ...parameters },
      inputs: { checkpoint: "begin.checkpoint" },
    });
    const run = (parameters: object) =>
      runGraph({ pixstage: 1, nodes: { ...nodes, begin, rest: rest(parameters) } }, {
        ...local,
        store,
        until: "rest",
      });
    assert.equal((await run({})).get("rest.latents")!.id, id);
    await assert.rejects(run({ controlnetScale: 2 }), /control must be .*allowChanges/);
  }
});

Deno.test("a ControlNet that does not fit is refused before anything runs", async () => {
  const refused = async (request: Partial<PictureRequestInput>, fault: RegExp): Promise<void> => {
    const events: RunEvent[] = [];
    const run = denoise(request, { onEvent: (event) => events.push(event) });
    await assert.rejects(run, fault);
    assert.ok(events.every(({ type }) => type === "failed"));
  };
  await refused({ controlnet: small.model }, /controlnet/);
  await refused({ controlnet: "./nowhere" }, /Cannot find the model/);
  const folder = await Deno.makeTempDir();
  try {
    await Deno.copyFile(
      `${CONTROL}/diffusion_pytorch_model.safetensors`,
      `${folder}/diffusion_pytorch_model.safetensors`,
    );
    const withConfig = async (fields: object, fault: RegExp): Promise<void> => {
      const config = { _class_name: "PixArtControlNetAdapterModel", ...fields };
      await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
      await refused({ controlnet: folder }, fault);
    };
    await withConfig(
      { num_layers: 3 },
      /has 3 blocks, but must have fewer than the transformer, which has 3/,
    );
    await withConfig(
      { num_layers: 2, num_attention_heads: 16 },
      /num_attention_heads is 16, but that of the transformer is/,
    );
    await withConfig({ num_layers: 0 }, /num_layers/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  assert.throws(
    () => textToImage({ ...small, controlnet: CONTROL }),
    /A ControlNet and the picture that it follows belong together/,
  );
  assert.throws(
    () => textToImage(small, { controlImage: { file: EDGES } }),
    /A ControlNet and the picture that it follows belong together/,
  );
});

for (const golden of controlGoldens.cases.filter(({ id }) => id.startsWith("a1024-12"))) {
  Deno.test(`ControlNet matches the reference: ${golden.id}`, () => matchControl(golden));
}
