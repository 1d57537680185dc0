import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { type MemoryLimits, type NodeChoices, planMemory as planNodes } from "../../graph/memory_plan.ts";
import type { LayeredFacts } from "../../models/memory.ts";
import { transformerMemoryChoices } from "../../models/pixart/memory.ts";
import { precisionOf, PRECISIONS } from "../../models/precision.ts";
import type { Precision } from "../../models/precision.ts";
import type { Residency } from "../../models/segments.ts";
import { t5MemoryChoices } from "../../models/t5/memory.ts";
import { AutoencoderConfig } from "../../models/vae/autoencoder_config.ts";
import { type DecoderFacts, decoderMemoryChoices } from "../../models/vae/memory.ts";
import type { VaeTiling } from "../../models/vae/tiling/tiled_vae_decoder.ts";
import { deviceTraits } from "../../runtime/device.ts";
import type { RuntimeTraits } from "../../runtime/runtime.ts";

const CPU: RuntimeTraits = { hostMemory: true, float16: false };
const GPU: RuntimeTraits = { hostMemory: false, float16: "weights", fillingTokens: 2048 };
/** Pixels along one side of a PixArt token. */
const TOKEN_SIZE = 16;

/** The properties of a run that determine its memory. */
interface Run {
  readonly encode?: LayeredFacts | undefined;
  readonly denoise?: LayeredFacts | undefined;
  readonly decode?: DecoderFacts | undefined;
  readonly height: number;
  readonly width: number;
  readonly guided: boolean;
  readonly textTokens: { readonly prompt: number; readonly negative: number };
  readonly images: number;
}

/** The machine, its limits and the user's choices. `*` stands for all stages that are not named. */
interface Request extends MemoryLimits {
  readonly traits: RuntimeTraits;
  readonly residency?: Readonly<Record<string, Residency>> | undefined;
  readonly precision?: Readonly<Record<string, Precision>> | undefined;
  readonly lowestPrecision?: Precision | undefined;
  readonly tiling?: VaeTiling | undefined;
}

/** PixArt-XL-2-1024-MS as published, in float32. */
const PUBLISHED: Run = {
  encode: {
    weightBytes: 19.05e9,
    layerBytes: 772e6,
    quantizable: 0.97,
    storedBytes: 4,
    branchValues: 3.9e-4,
    width: 4096,
    layers: 24,
    heads: 64,
    runsOnce: true,
  },
  denoise: {
    weightBytes: 2.45e9,
    layerBytes: 85e6,
    quantizable: 0.96,
    storedBytes: 4,
    branchValues: 1.41e-3,
    width: 1152,
    layers: 28,
    heads: 16,
    runsOnce: false,
  },
  decode: {
    weightBytes: 335e6,
    config: AutoencoderConfig.parse({
      _class_name: "AutoencoderKL",
      block_out_channels: [128, 256, 512, 512],
      layers_per_block: 2,
    }),
  },
  height: 1024,
  width: 1024,
  guided: true,
  textTokens: { prompt: 20, negative: 1 },
  images: 1,
};

/** Returns the nodes of a run from text to pictures, each with the choices of its stage. */
function nodesOf(run: Run, { traits, residency, precision, lowestPrecision, tiling = "auto" }: Request) {
  const { encode, denoise, decode, height, width, guided, textTokens, images } = run;
  const request = (stage: string) => ({
    traits,
    residency: residency?.[stage] ?? residency?.["*"],
    precision: precisionOf(stage, precision) ?? "float32",
    lowestPrecision,
  });
  const nodes: NodeChoices[] = [];
  if (encode) {
    for (const [node, tokens] of Object.entries(textTokens)) {
      nodes.push({ node, stage: "encode", choices: t5MemoryChoices(encode, [tokens], request("encode")) });
    }
  }
  if (denoise) {
    const tokens = {
      picture: Math.ceil(height / TOKEN_SIZE) * Math.ceil(width / TOKEN_SIZE),
      text: textTokens.prompt + (guided ? textTokens.negative : 0),
    };
    const choices = transformerMemoryChoices(denoise, tokens, guided, request("denoise"));
    nodes.push({ node: "denoise", stage: "denoise", choices });
  }
  if (decode) {
    const choices = decoderMemoryChoices(decode, { height, width, images }, { ...request("decode"), tiling });
    nodes.push({ node: "decode", stage: "decode", choices });
  }
  return nodes;
}

/** Plans a run. */
function planMemory(run: Run, request: Request) {
  return planNodes(nodesOf(run, request), request).plan;
}

Deno.test("the published checkpoint fits into 1.5 GB on a CPU at full precision and without seams", () => {
  const plan = planMemory(PUBLISHED, { traits: CPU, maxMemory: 1.5e9 });
  assert.deepEqual(plan.problems, []);
  assert(plan.fits && plan.predictedPeak <= 1.5e9);
  assert.deepEqual(plan.stages.map(({ residency }) => residency), ["stream", "stream", "stream"]);
  assert.deepEqual(plan.stages.map(({ precision }) => precision), ["float32", "float32", undefined]);
  assert.deepEqual(plan.stages.map(({ nodes }) => nodes), [["prompt", "negative"], ["denoise"], ["decode"]]);
  assert.equal(plan.stages[2]?.tiling, "seamless");
});

Deno.test("precision is lowered only if allowed, and only as far as necessary", () => {
  const refused = planMemory(PUBLISHED, { traits: CPU, maxMemory: 0.85e9 });
  assert(!refused.fits);
  assert.match(
    refused.problems[0]!,
    /^encode needs \d+ MB, \d+ MB more than allowed: allow precision "int8"/,
  );
  const allowed = planMemory({ ...PUBLISHED, decode: undefined }, {
    traits: CPU,
    maxMemory: 0.85e9,
    lowestPrecision: "int4",
  });
  assert.deepEqual(allowed.stages.map(({ precision }) => precision), ["int8", "float32"]);
  assert(allowed.fits);
});

/** The embedded model, about: little of its memory depends on the precision. */
const SMALL: Run = {
  ...PUBLISHED,
  encode: { ...PUBLISHED.encode!, weightBytes: 6.3e6, layerBytes: 1e6, width: 256, layers: 4, heads: 4 },
  denoise: { ...PUBLISHED.denoise!, weightBytes: 28e6, layerBytes: 3.3e6, width: 320, layers: 8, heads: 5 },
  decode: { ...PUBLISHED.decode!, weightBytes: 4e6 },
  height: 256,
  width: 256,
};

Deno.test("advice on memory limits only names what is not allowed yet and makes a stage fit", () => {
  const never = planMemory(SMALL, { traits: CPU, maxMemory: 10e6 });
  assert.equal(never.problems.length, 3);
  for (const problem of never.problems) {
    assert.match(problem, /^\w+ needs \d+ MB, \d+ MB more than allowed: allow \d+ MB$/);
  }
  for (const lowestPrecision of PRECISIONS) {
    for (const residency of [undefined, { "*": "stage" as const }]) {
      for (const traits of [CPU, GPU]) {
        const limits = Array.from({ length: 60 }, (_, index) => 0.19e9 * 1.05 ** index);
        for (const maxMemory of limits) {
          const request = { traits, residency, lowestPrecision, maxMemory };
          for (const run of [SMALL, PUBLISHED]) {
            for (const { stage, advice } of adviceOf(planMemory(run, request).problems)) {
              const alone = planNodes(
                nodesOf(run, follow(request, advice, stage)).filter((node) => node.stage === stage),
                {
                  maxMemory: /^allow ([\d.]+) ([MG])B$/.test(advice) ? amountIn(advice) : maxMemory,
                },
              );
              if (advice === "make a smaller picture") continue;
              assert(alone.plan.fits, `${stage} with ${advice}: ${alone.plan.problems}`);
              const named = /precision "([^"]+)"/.exec(advice)?.[1];
              const lower = PRECISIONS.findIndex((one) =>
                one === named
              ) > PRECISIONS.indexOf(lowestPrecision);
              assert(named === undefined || lower, `${named} is allowed already`);
            }
          }
        }
      }
    }
  }
});

/** Returns the stages with problems, and the advice on each. The last part of an alternative counts. */
function adviceOf(problems: readonly string[]): { stage: string; advice: string }[] {
  return problems.flatMap((problem) => {
    const [, stage = "", advice = ""] = /^(\w+) needs [^:]+: (.+)$/.exec(problem) ?? [];
    return advice.split(" or ").map((advice) => ({ stage, advice }));
  });
}

/** Returns a request that allows what advice names. */
function follow(request: Request, advice: string, stage: string): Request {
  const precision = PRECISIONS.find((one) => advice.includes(`precision "${one}"`));
  return {
    ...request,
    ...(precision === undefined ? {} : { lowestPrecision: precision }),
    ...(advice.includes('residency "stream"')
      ? { residency: { ...request.residency, [stage]: "stream" } }
      : {}),
    ...(advice.includes("tiling") ? { tiling: "auto" } : {}),
  };
}

/** Returns the amount that advice names, in bytes. */
function amountIn(advice: string): number {
  const [, amount, unit] = /([\d.]+) ([MG])B$/.exec(advice) ?? [];
  return Number(amount) * (unit === "G" ? 1e9 : 1e6);
}

Deno.test("pictures are split into blended tiles only if nothing else fits", () => {
  const decode: Run = { ...PUBLISHED, encode: undefined, denoise: undefined };
  assert.equal(planMemory(decode, { traits: CPU, maxMemory: 2e9 }).stages[0]?.tiling, "seamless");
  assert.equal(planMemory(decode, { traits: CPU, maxMemory: 0.75e9 }).stages[0]?.tiling, "blended");
  const fixed = planMemory(decode, { traits: CPU, maxMemory: 0.75e9, tiling: "seamless" });
  assert.deepEqual([fixed.fits, fixed.stages[0]?.tiling], [false, "seamless"]);
  assert.match(fixed.problems[0]!, /allow tiling "blended"/);
});

Deno.test("chosen tiles are larger than their overlap", () => {
  const { height, width, images } = PUBLISHED;
  const sizes = (tileOverlap: number, tileSize?: number) =>
    decoderMemoryChoices(PUBLISHED.decode!, { height, width, images }, {
      traits: CPU,
      tiling: "auto",
      tileSize,
      tileOverlap,
    }).flatMap(({ parameters, unlessAllowed }) =>
      unlessAllowed === undefined && parameters["tiling"] === "blended" ? [parameters["tileSize"]] : []
    );
  assert.deepEqual([sizes(128), sizes(256), sizes(384), sizes(512)], [
    [512, 384, 256],
    [512, 384],
    [512],
    [],
  ]);
  assert.deepEqual([sizes(128, 256), sizes(128, 64)], [[256], []]);
});

Deno.test("pictures that are enlarged to the requested size count, however they are decoded", () => {
  for (const tiling of ["none", "seamless", "blended"] as const) {
    const peak = (side?: number, images = 1) =>
      decoderMemoryChoices(PUBLISHED.decode!, {
        height: 256,
        width: 256,
        images,
        resizedTo: side === undefined ? undefined : { height: side, width: side },
      }, { traits: CPU, tiling })[0]!.peakBytes;
    // Measured: 14.6 GB.
    assert(peak(20_000) > 14.6e9 && peak(20_000) < 18e9, `${tiling}: ${peak(20_000)}`);
    assert(peak(2000) > peak(1000) && peak(1000) > peak());
    assert(peak(3000, 2) - peak(3000) >= 24 * 3000 ** 2, "all pictures are kept until the last");
  }
});

Deno.test("longer prompts and more pictures need more memory, and guidance branches run one at a time", () => {
  const peaks = (facts: Run): number[] =>
    planMemory(facts, { traits: CPU }).stages.map(({ predictedPeak }) => predictedPeak);
  const [encode, denoise, decode] = peaks(PUBLISHED) as [number, number, number];
  const [longEncode, longDenoise] = peaks({
    ...PUBLISHED,
    textTokens: { prompt: 300, negative: 300 },
  }) as [number, number];
  assert(longEncode > encode + 100e6 && longEncode < encode + 200e6);
  assert(longDenoise > denoise + 100e6 && longDenoise < denoise + 200e6);
  assert.equal(peaks({ ...PUBLISHED, images: 5 })[2], decode + 4 * 3 * 4 * 1024 ** 2);

  const guidanceBranches = (guided: boolean) =>
    planMemory({ ...PUBLISHED, guided }, { traits: CPU }).stages.map(({ guidanceBranches }) =>
      guidanceBranches
    );
  assert.deepEqual(guidanceBranches(true), [undefined, 1, undefined]);
  assert.deepEqual(guidanceBranches(false), [undefined, undefined, undefined]);
});

Deno.test("a GPU keeps a denoiser's weights if they fit, and predicts both branches of small pictures at once", () => {
  const roomy = planMemory(PUBLISHED, { traits: GPU, maxMemory: 100e9 });
  assert.deepEqual(roomy.stages.map(({ residency }) => residency), ["stream", "stage", "stage"]);
  const tight = planMemory(PUBLISHED, { traits: GPU, maxGpuMemory: 1.5e9 });
  assert.equal(tight.stages[1]?.residency, "stream");
  const guidanceBranches = (traits: RuntimeTraits, side: number) =>
    planMemory({ ...PUBLISHED, height: side, width: side }, { traits }).stages[1]?.guidanceBranches;
  assert.deepEqual([guidanceBranches(GPU, 512), guidanceBranches(GPU, 1024), guidanceBranches(CPU, 512)], [
    2,
    1,
    1,
  ]);
});

Deno.test("the measured memory of resident stages counts for later stages", () => {
  const stored = (facts: LayeredFacts, elements: number) => ({
    ...facts,
    weightBytes: 2 * elements,
    layerBytes: facts.layerBytes * 2 / facts.storedBytes,
    storedBytes: 2,
  });
  const facts = {
    ...PUBLISHED,
    encode: stored(PUBLISHED.encode!, 4.76e9),
    denoise: stored(PUBLISHED.denoise!, 0.61e9),
  };
  const plan = planMemory(facts, { traits: CPU, residency: { "*": "resident" } });
  for (const [index, measured] of [9.56e9, 12.24e9, 12.96e9].entries()) {
    const { stage, predictedPeak } = plan.stages[index]!;
    assert(Math.abs(predictedPeak / measured - 1) < 0.05, `${stage}: ${predictedPeak} for ${measured}`);
  }
});

Deno.test("the GPU memory of resident stages counts for later stages", () => {
  const peaks = (residency: Residency) =>
    planMemory(PUBLISHED, { traits: GPU, residency: { "*": residency } }).stages
      .map(({ predictedGpuPeak }) => predictedGpuPeak ?? 0);
  const [encode, denoise] = peaks("stage") as [number, number];
  const [residentEncode, residentDenoise] = peaks("resident") as [number, number];
  assert.equal(residentEncode, encode);
  // T5's weights stay in memory while the transformer runs.
  assert.equal(residentDenoise - denoise, 19.05e9);

  const limited = { traits: GPU, maxGpuMemory: 20e9 };
  assert(planMemory(PUBLISHED, { ...limited, residency: { "*": "stage" } }).fits);
  const refused = planMemory(PUBLISHED, { ...limited, residency: { "*": "resident" } });
  assert(!refused.fits);
  assert.match(
    refused.problems[0]!,
    /^denoise needs 2\d\.\d GB of GPU memory, \d\.?\d* GB more than allowed: /,
  );
});

Deno.test("the larger figure of a stage's nodes counts, for this machine's memory and for a GPU's", () => {
  const way = (peakBytes: number, gpuPeakBytes: number) => ({
    residency: "stage" as const,
    parameters: {},
    weightBytes: 1,
    peakBytes,
    gpuPeakBytes,
    heldBytes: 0,
    advice: "allow more",
  });
  const { plan } = planNodes([
    { node: "many", stage: "encode", choices: [way(3e9, 1e9)] },
    { node: "long", stage: "encode", choices: [way(2e9, 4e9)] },
  ], { maxGpuMemory: 3e9 });
  assert.deepEqual([plan.stages[0]?.predictedPeak, plan.stages[0]?.predictedGpuPeak], [3e9, 4e9]);
  assert(!plan.fits);
});

Deno.test("predicted GPU memory of strips matches that measured with PixArt-XL's autoencoder on an H200", () => {
  const measured = [["cuda", 0.971e9], ["webgpu", 0.703e9]] as const;
  for (const [device, bytes] of measured) {
    const plan = planMemory(PUBLISHED, { traits: deviceTraits(device), tiling: "seamless" });
    const predicted = plan.stages[2]!.predictedGpuPeak!;
    assert(Math.abs(predicted / bytes - 1) < 0.05, `${device}: ${predicted} for ${bytes}`);
  }
});

Deno.test("predicted GPU memory matches that measured with PixArt-XL on an H100, and in float16 on an H200", () => {
  const stored = { ...PUBLISHED.denoise!, weightBytes: 1.222e9, layerBytes: 42e6, storedBytes: 2 };
  const measured = [["float32", 512, 2.39e9], ["float32", 1024, 2.71e9], ["float16", 512, 1.86e9], [
    "float16",
    1024,
    2.13e9,
  ]] as const;
  for (const [precision, side, bytes] of measured) {
    const facts = { ...PUBLISHED, denoise: stored, height: side, width: side };
    const plan = planMemory(facts, { traits: GPU, precision: { denoise: precision } });
    const predicted = plan.stages[1]!.predictedGpuPeak!;
    assert(Math.abs(predicted / bytes - 1) < 0.05, `${precision} ${side}: ${predicted} for ${bytes}`);
  }
  assert.equal(planMemory(PUBLISHED, { traits: CPU }).stages[1]?.predictedGpuPeak, undefined);
});

Deno.test("the first exact way that fits a GPU's free memory is chosen, and none is refused for lack of it", () => {
  const traits: RuntimeTraits = { ...GPU, contextBytes: 40e6, freesLate: true };
  const tiling = (freeGpuMemory?: number, maxGpuMemory?: number) =>
    planMemory(PUBLISHED, { traits, freeGpuMemory, maxGpuMemory, lowestPrecision: "int4" }).stages[2]?.tiling;
  assert.equal(tiling(), "none");
  assert.equal(tiling(130e9), "none");
  assert.equal(tiling(10e9), "seamless");
  assert.equal(tiling(7.2e9), "seamless", "exact, though blended tiles would fit");
  assert.equal(tiling(130e9, 10e9), "seamless", "a limit that the user sets holds");
  assert.equal(tiling(130e9, 2e9), "seamless");
  const tight = planMemory(PUBLISHED, { traits, freeGpuMemory: 0.2e9, lowestPrecision: "int4" });
  assert(tight.fits);
  assert.deepEqual(tight.stages.map(({ precision }) => precision), ["float32", "float32", undefined]);
  assert.deepEqual(tight.stages.map(({ residency }) => residency), ["stream", "stream", "stream"]);
  assert.equal(tight.stages[2]?.tiling, "seamless", "blended tiles are not taken unasked");
});

Deno.test("only a GPU's transformer uses float16: T5 and all stages on a CPU stay in float32", () => {
  const precisions = (request: Partial<Request>) =>
    planMemory(PUBLISHED, { traits: GPU, ...request }).stages.map(({ precision }) => precision);
  assert.deepEqual(precisions({ precision: { "*": "float16" } }), ["float32", "float16", undefined]);
  assert.deepEqual(
    precisions({ maxMemory: 1.3e9, residency: { denoise: "stage" }, lowestPrecision: "float16" }),
    ["float32", "float16", undefined],
  );
  // No choice encodes in float16, whatever the limit, because T5's values overflow it.
  for (const traits of [CPU, GPU]) {
    const [encode, , denoise] = nodesOf(PUBLISHED, { traits, lowestPrecision: "int4" });
    const listed = (
      node: NodeChoices,
    ) => [...new Set(node.choices.map(({ parameters }) => parameters.precision))];
    assert.deepEqual(listed(encode!), ["float32", "int8", "int4-lowrank", "int4"]);
    const expected = ["float32", ...(traits.float16 ? ["float16"] : []), "int8", "int4-lowrank", "int4"];
    assert.deepEqual(listed(denoise!), expected);
  }
});

Deno.test("a plan never uses what the user did not allow, and never claims to fit if it does not", () => {
  const requests = fc.record({
    traits: fc.constantFrom(CPU, GPU),
    maxMemory: fc.option(fc.integer({ min: 0, max: 30_000 }).map((megabytes) => megabytes * 1e6), {
      nil: undefined,
    }),
    residency: fc.option(fc.constantFrom({ "*": "stage" as const }, { encode: "resident" as const }), {
      nil: undefined,
    }),
    precision: fc.option(fc.constantFrom({ "*": "int8" as const }, { denoise: "int4" as const }), {
      nil: undefined,
    }),
    lowestPrecision: fc.option(fc.constantFrom(...PRECISIONS), { nil: undefined }),
    tiling: fc.option(fc.constantFrom("none" as const, "seamless" as const, "auto" as const), {
      nil: undefined,
    }),
  });
  const sizes = fc.record({
    height: fc.integer({ min: 8, max: 256 }),
    width: fc.integer({ min: 8, max: 256 }),
  });
  fc.assert(fc.property(requests, sizes, (request, size) => {
    const plan = planMemory({ ...PUBLISHED, height: 8 * size.height, width: 8 * size.width }, request);
    const limit = request.maxMemory ?? Infinity;
    assert.equal(plan.fits, plan.predictedPeak <= limit);
    assert.equal(plan.predictedPeak, Math.max(...plan.stages.map(({ predictedPeak }) => predictedPeak)));
    for (const { stage, precision, residency, tiling } of plan.stages) {
      const fixed = request.residency as Record<string, string> | undefined;
      const wanted = fixed?.[stage] ?? fixed?.["*"];
      if (wanted && stage !== "decode") assert.equal(residency, wanted);
      const asked = request.precision as Record<string, typeof PRECISIONS[number]> | undefined;
      const own = asked?.[stage] ?? asked?.["*"] ?? "float32";
      if (stage !== "decode") {
        const lowest = Math.max(PRECISIONS.indexOf(own), PRECISIONS.indexOf(request.lowestPrecision ?? own));
        assert(
          PRECISIONS.indexOf(precision!) >= PRECISIONS.indexOf(own) &&
            PRECISIONS.indexOf(precision!) <= lowest,
        );
      } else if (request.tiling && request.tiling !== "auto") assert.equal(tiling, request.tiling);
    }
  }));
});

Deno.test("what this process holds while a node runs in another one counts towards the limit, not towards the stage", () => {
  const nodes = nodesOf(PUBLISHED, { traits: CPU });
  const alone = planNodes(nodes, {}).plan;
  const beside = planNodes(nodes.map((node) => ({ ...node, besideBytes: 130e6 })), {}).plan;
  assert.deepEqual(beside.stages, alone.stages);
  assert.equal(beside.predictedPeak, alone.predictedPeak + 130e6);
  const [encode] = nodes;
  const peak = planNodes([encode!], {}).plan.predictedPeak;
  const fixed = [{ ...encode!, choices: encode!.choices.slice(0, 1) }];
  assert(planNodes(fixed, { maxMemory: peak }).plan.fits);
  const { fits, problems } =
    planNodes(fixed.map((node) => ({ ...node, besideBytes: 130e6 })), { maxMemory: peak }).plan;
  assert(!fits);
  assert.match(problems[0]!, / 130 MB more than allowed: /);
});
