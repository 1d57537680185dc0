import { z } from "zod";
import type { ArtifactOutline } from "../../artifacts/outline.ts";
import type { ReadyNode } from "../../graph/prepared_run.ts";

/** How many pictures a run makes, and their pixels together. */
export interface PicturesOfRun {
  readonly images: number;
  readonly pixels: number;
}

const sizeSchema = z.object({ size: z.object({ height: z.number(), width: z.number() }) });
const perPromptSchema = z.object({ imagesPerPrompt: z.number() });

/**
 * Counts the pictures of a prepared run: those that are denoised or those that are decoded, whichever are
 * more.
 *
 * @param nodes The nodes that will run.
 */
export function picturesOfRun(nodes: readonly Pick<ReadyNode, "parameters" | "prepared">[]): PicturesOfRun {
  const outlines = nodes.flatMap(({ prepared }) => Object.values(prepared.outputs));
  // A stage may not tell how many embeddings it gives; none gives more than all that are encoded together.
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
