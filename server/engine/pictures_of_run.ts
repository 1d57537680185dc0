import { z } from "zod";
import type { ArtifactOutline } from "../../artifacts/outline.ts";
import type { ReadyNode } from "../../graph/prepared_run.ts";

/** Number of pictures that a run makes, and their total number of pixels. */
export interface PicturesOfRun {
  readonly images: number;
  readonly pixels: number;
}

const sizeSchema = z.object({ size: z.object({ height: z.number(), width: z.number() }) });
const perPromptSchema = z.object({ imagesPerPrompt: z.number() });

/**
 * Counts the pictures of a prepared run. Takes the larger of the number denoised and the number decoded.
 *
 * @param nodes The nodes that will run.
 */
export function picturesOfRun(nodes: readonly Pick<ReadyNode, "parameters" | "prepared">[]): PicturesOfRun {
  const outlines = nodes.flatMap(({ prepared }) => Object.values(prepared.outputs));
  // A stage need not report how many embeddings it produces, but it produces at most as many as all encoders
  // together.
  const prompts = Math.max(1, sum(outlines.map(({ shapes }) => shapes["prompt_embeds"]?.[0] ?? 0)));
  const latents = nodes.flatMap(({ parameters, prepared }) =>
    Object.values(prepared.outputs).filter(({ kind }) => kind === "latents").map((outline) => {
      const perPrompt = perPromptSchema.safeParse(parameters).data?.imagesPerPrompt ?? 1;
      const images = outline.shapes["latents"]?.[0] ?? prompts * perPrompt;
      return { images, pixels: images * sizeOf(outline) };
    })
  );
  const pictures = outlines.filter(({ kind }) => kind === "image").map(({ shapes }) => {
    const [images = 0, , height = 0, width = 0] = shapes["image"] ?? [];
    return { images, pixels: images * height * width };
  });
  return {
    images: Math.max(...[latents, pictures].map((all) => sum(all.map(({ images }) => images)))),
    pixels: Math.max(...[latents, pictures].map((all) => sum(all.map(({ pixels }) => pixels)))),
  };
}

function sizeOf({ metadata }: ArtifactOutline): number {
  const { data } = sizeSchema.safeParse(metadata);
  return data ? data.size.height * data.size.width : 0;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
