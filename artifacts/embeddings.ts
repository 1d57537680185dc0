// This module is browser compatible.

/**
 * The artifact between encode and denoise: text embeddings of prompts, and of negative prompts if guidance
 * needs them. Names and shapes are those of diffusers' PixArt pipelines, so each side can load the other's
 * files.
 *
 * @module
 */

import { z } from "zod";
import { parseValue } from "../errors/parse_value.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { type Artifact, ArtifactError } from "./artifact.ts";
import { toFloat32 } from "./half_precision.ts";
import { listNames } from "../errors/list_names.ts";
import { type Tensor, tensor } from "./tensor.ts";

/** The metadata of embeddings. Files from other programs have none of it. */
export const embeddingsMetadataSchema = z.looseObject({
  /** The prompts as the user wrote them. */
  prompts: z.array(z.string()).optional(),
  /** The negative prompts as the user wrote them. */
  negativePrompts: z.array(z.string()).optional(),
});

/** The metadata of embeddings. */
export type EmbeddingsMetadata = z.infer<typeof embeddingsMetadataSchema>;

/**
 * Parses the metadata of embeddings.
 *
 * @throws {ArtifactError} if a field has the wrong type.
 */
export function embeddingsMetadata({ metadata }: Pick<Artifact, "metadata">): EmbeddingsMetadata {
  return parseValue(
    embeddingsMetadataSchema,
    metadata,
    ({ clause }, options) =>
      new ArtifactError(`Cannot use embeddings: in their metadata, ${clause}`, options),
  );
}

/** Embeddings of one prompt without padding, `[tokens, channels]`. */
export type PromptEmbedding = Tensor<"float32">;

/** Embeddings, by prompt. */
export interface Embeddings {
  /** One per prompt. */
  readonly prompts: readonly PromptEmbedding[];
  /** One per prompt. Absent if guidance is off. */
  readonly negatives?: readonly PromptEmbedding[];
}

/**
 * Packs embeddings into the padded tensors of diffusers: `prompt_embeds` [prompts, length, channels],
 * `prompt_attention_mask` [prompts, length], and the same for negative prompts. Padding is zero and masked.
 *
 * @param embeddings Embeddings, by prompt.
 * @param length Number of tokens to pad to.
 * @param metadata Further metadata.
 * @returns The artifact.
 * @throws {InputError} if a prompt has more tokens than `length`.
 */
export function packEmbeddings(
  embeddings: Embeddings,
  length: number,
  metadata: EmbeddingsMetadata & Artifact["metadata"],
): Artifact {
  const { prompts, negatives } = embeddings;
  return {
    kind: "embeddings",
    tensors: {
      ...pad(prompts, length, "prompt_embeds", "prompt_attention_mask"),
      ...(negatives
        ? pad(negatives, length, "negative_prompt_embeds", "negative_prompt_attention_mask")
        : {}),
    },
    metadata,
  };
}

/** Pads each prompt's rows to `length`, and makes the mask. */
function pad(
  prompts: readonly PromptEmbedding[],
  length: number,
  embedsName: string,
  maskName: string,
): Record<string, Tensor> {
  const channels = prompts[0]?.shape[1] ?? 0;
  const embeds = new Float32Array(prompts.length * length * channels);
  const mask = new BigInt64Array(prompts.length * length);
  prompts.forEach((prompt, index) => {
    const tokens = prompt.shape[0] ?? 0;
    if (tokens > length) {
      throw new InputError(
        "out_of_range",
        `Cannot pack embeddings of ${tokens} tokens: the maximum is ${length}`,
      );
    }
    embeds.set(prompt.data, index * length * channels);
    mask.fill(1n, index * length, index * length + tokens);
  });
  return {
    [embedsName]: tensor("float32", [prompts.length, length, channels], embeds),
    [maskName]: tensor("int64", [prompts.length, length], mask),
  };
}

/**
 * Unpacks embeddings by prompt, without padding.
 *
 * @param artifact Embeddings from a stage or from a file.
 * @returns Embeddings, by prompt.
 * @throws {ArtifactError} if a tensor is missing, a shape is wrong, or a value is not finite.
 * @throws {InputError} if a tensor does not contain floats.
 */
export function unpackEmbeddings(artifact: Artifact): Embeddings {
  const prompts = unpad(artifact, "prompt_embeds", "prompt_attention_mask");
  if (!artifact.tensors["negative_prompt_embeds"]) return { prompts };
  const negatives = unpad(artifact, "negative_prompt_embeds", "negative_prompt_attention_mask");
  if (negatives.length !== prompts.length || negatives[0]?.shape[1] !== prompts[0]?.shape[1]) {
    throw new ArtifactError(
      `Cannot use embeddings: prompt_embeds and negative_prompt_embeds must have the same shape, but they have ` +
        `${prompts.length} x ${prompts[0]?.shape[1]} and ${negatives.length} x ${
          negatives[0]?.shape[1]
        } channels`,
    );
  }
  return { prompts, negatives };
}

/** Returns the unmasked rows of each prompt. */
function unpad(artifact: Artifact, embedsName: string, maskName: string): PromptEmbedding[] {
  const embeds = artifact.tensors[embedsName];
  const mask = artifact.tensors[maskName];
  if (!embeds || !mask) {
    throw new ArtifactError(
      `Cannot use embeddings: they must contain the tensors ${embedsName} and ${maskName}, but contain ${
        listNames(Object.keys(artifact.tensors))
      }`,
    );
  }
  const [prompts = 0, length = 0, channels = 0] = embeds.shape;
  if (embeds.shape.length !== 3 || prompts === 0) {
    throw new ArtifactError(
      `Cannot use embeddings: ${embedsName} must be [prompts, tokens, channels], but its shape is [${embeds.shape}]`,
    );
  }
  if (mask.shape.length !== 2 || mask.shape[0] !== prompts || mask.shape[1] !== length) {
    throw new ArtifactError(
      `Cannot use embeddings: ${maskName} must be [${prompts}, ${length}], but its shape is [${mask.shape}]`,
    );
  }
  const values = toFloat32(embeds, embedsName);
  return Array.from({ length: prompts }, (_, prompt) => {
    const rows: number[] = [];
    for (let token = 0; token < length; token++) {
      if (Number(mask.data[prompt * length + token]) !== 0) rows.push(prompt * length + token);
    }
    if (rows.length === 0) {
      throw new ArtifactError(
        `Cannot use embeddings: each prompt needs a token, but ${maskName} of prompt ${prompt} is 0`,
      );
    }
    const data = new Float32Array(rows.length * channels);
    rows.forEach((row, index) =>
      data.set(values.data.subarray(row * channels, (row + 1) * channels), index * channels)
    );
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new ArtifactError(
        `Cannot use embeddings: all values must be finite, but ${embedsName} of prompt ${prompt} contains ${
          data[bad]
        }`,
      );
    }
    return tensor("float32", [rows.length, channels], data);
  });
}

/** Splits embeddings into one artifact per prompt. */
export function splitEmbeddings(artifact: Artifact): Artifact[] {
  const { prompts: texts } = embeddingsMetadata(artifact);
  const length = paddedLength(artifact);
  return unpackEmbeddings(artifact).prompts.map((prompt, row) =>
    packEmbeddings({ prompts: [prompt] }, length, texts ? { prompts: [texts[row]!] } : {})
  );
}

/**
 * Concatenates embeddings along the prompts.
 *
 * @param rows Embeddings that are padded to the same length.
 */
export function joinEmbeddings(rows: readonly Artifact[]): Artifact {
  const prompts = rows.flatMap((row) => unpackEmbeddings(row).prompts);
  const texts = rows.flatMap((row) => embeddingsMetadata(row).prompts ?? []);
  const length = Math.max(...rows.map(paddedLength));
  return packEmbeddings({ prompts }, length, texts.length === prompts.length ? { prompts: texts } : {});
}

/** Returns the padded length of embeddings in tokens. */
export function paddedLength({ tensors }: Artifact): number {
  return tensors["prompt_embeds"]?.shape[1] ?? 0;
}
