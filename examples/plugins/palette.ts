/**
 * A minimal custom architecture: a "text encoder" that knows colours by name, a "denoiser" that pulls latents
 * towards those colours, and a "decoder" that paints a square for each latent. It shows what an architecture
 * must define; docs/plugins.md walks through it.
 *
 *     deno task gen "red blue" -m examples/plugins/palette-model --plugin examples/plugins/palette.ts
 *
 * @module
 */

import {
  type Architecture,
  type Component,
  InputError,
  type JsonObject,
  type MemoryChoice,
  PROCESS_BYTES,
  type Tensor,
  tensor,
  weightBytes,
  type Weights,
} from "../../stage.ts";

/** The side of the square of one latent, in pixels. */
const FACTOR = 8;
/** The side of a picture without a requested size, in latents. */
const SIDE = 16;
/** The number of tokens to which prompts are padded. */
const LENGTH = 8;

/**
 * Returns the colours that the text encoder knows, in the row order of its table; the first stands for all
 * other words.
 */
function words({ config }: Component): string[] {
  const { words } = config;
  if (Array.isArray(words)) return words.map(String);
  throw new InputError(
    "unsupported_architecture",
    "The palette's text encoder must list its words in config.json",
  );
}

/** Returns the only way to run a part: its weights are a few bytes, so there is nothing to choose. */
function memory(weights: Weights, values: number, parameters: JsonObject): MemoryChoice[] {
  const bytes = weightBytes(weights);
  const advice = "make a smaller picture";
  return [{
    residency: "stage",
    parameters,
    weightBytes: bytes,
    peakBytes: PROCESS_BYTES + bytes + 4 * values,
    heldBytes: 0,
    advice,
  }];
}

/** Returns ᾱ at a timestep of the noise schedule, `linear` in diffusers. */
function signal(timestep: number): number {
  let product = 1;
  for (let t = 0; t <= timestep; t++) product *= 1 - (1e-4 + (0.02 - 1e-4) * t / 999);
  return product;
}

const palette: Architecture = {
  name: "palette",
  pipelines: { PalettePipeline: "palette" },
  classes: {
    text_encoder: ["PaletteTextEncoder"],
    transformer: ["PaletteDenoiser"],
    vae: ["PaletteDecoder"],
  },
  defaults: { steps: 4, guidanceScale: 1 },

  async textEncoder(checkpoint, { maxSequenceLength = LENGTH }) {
    const component = await checkpoint.component("text_encoder");
    const known = words(component);
    return {
      component,
      files: {},
      sequenceLength: maxSequenceLength,
      channels: 3,
      tokenize(text) {
        const named = text.toLowerCase().split(/\W+/).filter((word) => word !== "");
        const ids = named.slice(0, maxSequenceLength).map((word) => Math.max(0, known.indexOf(word)));
        const unknown = named.filter((word) => !known.includes(word));
        const warnings = unknown.length === 0 ? [] : [`The palette does not know ${unknown.join(", ")}`];
        return { ids: ids.length === 0 ? [0] : ids, warnings };
      },
      memory: (weights, tokens, { precision }) => memory(weights, 3 * Math.max(...tokens), { precision }),
      async open(_runtime, weights) {
        const table = await weights.read("colours") as Tensor<"float32">;
        return {
          encodeEach: (texts) =>
            Promise.resolve(texts.map((ids) => {
              const rows = Array.from(ids).flatMap((id) => [...table.data.subarray(3 * id, 3 * id + 3)]);
              return tensor("float32", [ids.length, 3], Float32Array.from(rows));
            })),
          [Symbol.asyncDispose]: () => Promise.resolve(),
        };
      },
    };
  },

  denoiser: (_checkpoint, component) =>
    Promise.resolve({
      component,
      spatialFactor: FACTOR,
      identity: { family: "palette" },
      resolveSize({ height = SIDE * FACTOR, width = SIDE * FACTOR }) {
        if (height % FACTOR !== 0 || width % FACTOR !== 0) {
          throw new InputError("out_of_range", `Height and width must be multiples of ${FACTOR}`);
        }
        return { size: { height, width }, renderSize: { height, width } };
      },
      latentShape: ({ height, width }) => [1, 3, height / FACTOR, width / FACTOR],
      checkEmbeddings(channels) {
        if (channels === 3) return;
        throw new InputError(
          "invalid_artifact",
          `The palette expects embeddings with 3 channels, but these have ${channels}`,
        );
      },
      returnsDenoised: () => false,
      readPrediction: (output) => output,
      memory: (weights, { renderSize: { height, width } }, { precision }) =>
        memory(weights, 3 * height * width / FACTOR ** 2, { precision }),
      async open(_runtime, weights) {
        const { data: [strength = 1] } = await weights.read("strength") as Tensor<"float32">;
        return {
          prepareText: (embedding) => Promise.resolve(embedding),
          predictEach: (inputs) =>
            Promise.resolve(inputs.map(({ latents, timestep, text }) => {
              // The colours of the prompt form vertical stripes; the rest of the latents is noise.
              const { shape: [tokens = 1], data: colours } = text as Tensor<"float32">;
              const [, , height = 0, width = 0] = latents.shape;
              const level = signal(timestep);
              const noise = latents.data.map((value, index) => {
                const column = index % width;
                const channel = Math.floor(index / (height * width));
                const token = Math.floor(column * tokens / width);
                const clean = strength * colours[3 * token + channel]!;
                return (value - Math.sqrt(level) * clean) / Math.sqrt(1 - level);
              });
              return tensor("float32", latents.shape, noise);
            })),
          [Symbol.asyncDispose]: () => Promise.resolve(),
        };
      },
    }),

  decoder: (component) => ({
    component,
    latentChannels: 3,
    spatialFactor: FACTOR,
    checkTiling: () => {},
    memory: (weights, { latentHeight, latentWidth, images }) =>
      memory(weights, 3 * images * latentHeight * latentWidth * FACTOR ** 2, {}),
    open: () => ({
      decode({ shape: [, , rows = 0, columns = 0], data }) {
        const [height, width] = [rows * FACTOR, columns * FACTOR];
        const pixels = Float32Array.from({ length: 3 * height * width }, (_, index) => {
          const channel = Math.floor(index / (height * width));
          const row = Math.floor(index / width) % height;
          return data[
            (channel * rows + Math.floor(row / FACTOR)) * columns + Math.floor(index % width / FACTOR)
          ]!;
        });
        return Promise.resolve(tensor("float32", [1, 3, height, width], pixels));
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  }),
};

export default palette;
