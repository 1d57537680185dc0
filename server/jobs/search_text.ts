/**
 * What jobs are found by: prompts, negative prompts, and the names and seeds that their graphs hold.
 *
 * @module
 */

import { z } from "zod";

/** Parameters of stages that a job is found by. */
const FIELDS = ["prompts", "negativePrompt", "model", "transformer", "scheduler", "seeds", "loras"] as const;

/** UTF-16 units of a job that are searched: ten prompts of the greatest length that is taken. */
const LONGEST = 80_000;

const jobSchema = z.object({
  request: z.record(z.string(), z.unknown()).nullable().catch(null),
  graph: z.object({
    nodes: z.record(z.string(), z.object({ parameters: z.record(z.string(), z.unknown()).catch({}) })),
  }),
});

/**
 * The text that a job is found by.
 *
 * @param job The job: its request, where it has one, and its graph.
 * @returns The text in one case; empty for what is no job.
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
 * The words that a search asks for. A job is found if its text holds all of them.
 *
 * @param query What is searched for.
 */
export function searchWords(query: string): string[] {
  return folded(query).split(/\s+/).filter((word) => word !== "");
}

/** Texts that differ in case or in how characters are composed become the same. */
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
