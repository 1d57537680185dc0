/**
 * The text in which jobs are searched: prompts, negative prompts, and the names and seeds in their graphs.
 *
 * @module
 */

import { z } from "zod";

/** Stage parameters that are searched. */
const FIELDS = ["prompts", "negativePrompt", "model", "transformer", "scheduler", "seeds", "loras"] as const;

/** Maximum UTF-16 units of a job that are searched: ten prompts of the maximum length. */
const LONGEST = 80_000;

const jobSchema = z.object({
  request: z.record(z.string(), z.unknown()).nullable().catch(null),
  graph: z.object({
    nodes: z.record(z.string(), z.object({ parameters: z.record(z.string(), z.unknown()).catch({}) })),
  }),
});

/**
 * Returns the text in which a job is searched.
 *
 * @param job The job: its request, if any, and its graph.
 * @returns The text in lower case; empty if the value is not a job.
 */
export function searchText(job: unknown): string {
  const { data } = jobSchema.safeParse(job);
  if (!data) return "";
  const { request, graph } = data;
  const holders = [request ?? {}, ...Object.values(graph.nodes).map(({ parameters }) => parameters)];
  const texts = new Set(holders.flatMap((holder) => FIELDS.flatMap((name) => textsOf(holder[name]))));
  return folded([...texts].join("\n")).slice(0, LONGEST);
}

/**
 * Splits a search query into words. A job matches if its text contains all of them.
 *
 * @param query The query.
 */
export function searchWords(query: string): string[] {
  return folded(query).split(/\s+/).filter((word) => word !== "");
}

/** Normalizes texts that differ only in case or in the composition of their characters to the same text. */
function folded(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}

function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value === "number") return [String(value)];
  if (Array.isArray(value)) return value.flatMap(textsOf);
  const { name } = Object(value);
  return typeof name === "string" ? [name] : [];
}
