/**
 * What a graph must keep to before it may run here: the stages' own rules, the server's bounds, and nothing that reaches
 * beyond the server.
 *
 * @module
 */

import { z } from "zod";
import type { ErrorCode } from "../errors/error_codes.ts";
import type { GraphDocument } from "../graph/document.ts";
import { GraphError } from "../graph/graph_error.ts";
import { nearest } from "../errors/nearest.ts";
import { planGraph } from "../graph/plan.ts";
import type { StageRegistry } from "../stages/registry.ts";
import { ApiError } from "./api_error.ts";
import type { PicturesOfRun } from "./engine/pictures_of_run.ts";
import type { Limits } from "./limits.ts";

/** What graphs are held against. */
export interface GraphRules {
  /** The stages that graphs may name. */
  readonly registry: StageRegistry;
  /** The server's bounds. */
  readonly limits: Limits;
  /** Names of the models that are served. */
  readonly models: ModelNames;
}

/** The names that stages may give, by what they need of a model. */
export interface ModelNames {
  /** Whole checkpoints. */
  readonly whole: readonly string[];
  /** What can decode latents: whole checkpoints and autoencoders that stand alone. */
  readonly decoders: readonly string[];
  /** What can denoise: whole checkpoints and transformers that stand alone. */
  readonly transformers: readonly string[];
  /** ControlNets. */
  readonly controlnets: readonly string[];
  /** LoRA adapters. */
  readonly loras: readonly string[];
}

/** Parameters that name a model, in the stages that are built in. */
const MODEL_PARAMETERS = ["model", "transformer", "secondTransformer", "vae", "controlnet"] as const;

/** Stages that need a whole checkpoint. */
const WHOLE_STAGES: ReadonlySet<string> = new Set(["encode", "denoise", "denoise-part"]);

/**
 * Checks a graph.
 *
 * @param document The graph.
 * @param rules What it is held against.
 * @param path Where it stands in the request, for errors.
 * @returns The graph with defaults laid in.
 * @throws {ApiError} 400 with the first fault.
 */
export function checkGraph(
  document: unknown,
  rules: GraphRules,
  path: readonly string[] = ["graph"],
): GraphDocument {
  const { limits, registry } = rules;
  // Planning takes time for each node, and looks for similar names where one is unknown.
  const parts = z.object({ nodes: z.looseObject({}) }).safeParse(document).data;
  if (Object.keys(parts?.nodes ?? {}).length > limits.maxNodes) {
    throw outOfRange([...path, "nodes"], limits.maxNodes);
  }
  try {
    const { document: graph, nodes } = planGraph(document, registry);
    if (graph.plugins?.length) {
      throw refusal([...path, "plugins"], "plugins_not_allowed", "Plugins cannot be loaded over HTTP");
    }
    for (const { id, stage, inputs, parameters, executor } of nodes) {
      const at = [...path, "nodes", id];
      if (executor !== undefined) {
        throw refusal([...at, "executor"], "executor_not_allowed", "The server chooses where nodes run");
      }
      for (const [port, source] of Object.entries(inputs)) {
        if (typeof source === "object" && "file" in source) {
          const message = "Files of the server cannot be read over HTTP: put an artifact and name its id";
          throw refusal([...at, "inputs", port], "file_not_allowed", message);
        }
      }
      checkParameters(Object(parameters), rules, [...at, "parameters"], stage.name);
    }
    return graph;
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    const [issue] = error.issues;
    const param = [...path, ...(issue?.path ?? [])].join(".");
    throw new ApiError(issue?.code ?? "invalid_graph", `${param}: ${issue?.message}`, { param });
  }
}

/**
 * Holds the parameters of a stage, built in or not, against the bounds, by the names that they have
 * everywhere.
 *
 * @param parameters The parameters.
 * @param rules What they are held against.
 * @param path Where they stand in the request, for errors.
 * @param stage The stage's name; absent for a request for pictures, which has the parameters of several.
 * @throws {ApiError} with the first fault.
 */
export function checkParameters(
  parameters: Readonly<Record<string, unknown>>,
  { limits, models }: Pick<GraphRules, "limits" | "models">,
  path: readonly string[],
  stage?: string | undefined,
): void {
  const fail = (name: string, most: number): never => {
    throw outOfRange([...path, name], most);
  };
  const number = (name: string): number => typeof parameters[name] === "number" ? parameters[name] : 0;
  const list = (name: string): readonly unknown[] =>
    Array.isArray(parameters[name]) ? parameters[name] : [parameters[name]];
  for (const name of ["width", "height"]) {
    if (number(name) > limits.maxSize) fail(name, limits.maxSize);
    if (parameters[name] !== undefined && number(name) < limits.minSize) {
      throw refusal([...path, name], "out_of_range", `must be at least ${limits.minSize}`);
    }
  }
  if (number("steps") > limits.maxSteps) fail("steps", limits.maxSteps);
  for (const name of ["timesteps", "sigmas"]) {
    if (list(name).length > limits.maxSteps) fail(name, limits.maxSteps);
  }
  const { num_train_timesteps: trained } = Object(parameters["schedulerOptions"]);
  if (trained > limits.maxTrainTimesteps) {
    const option = [...path, "schedulerOptions", "num_train_timesteps"];
    throw outOfRange(option, limits.maxTrainTimesteps);
  }
  const images = list("prompts").length * Math.max(number("imagesPerPrompt"), 1);
  if (images > limits.maxImages) fail("imagesPerPrompt", limits.maxImages);
  if (list("seeds").length > limits.maxImages) fail("seeds", limits.maxImages);
  for (const seed of list("seeds")) {
    if (String(seed).length > 20) {
      throw refusal([...path, "seeds"], "out_of_range", "must have 20 digits at most");
    }
  }
  if (images * number("width") * number("height") > limits.maxPixels) {
    const message = `the pictures of a request may have ${limits.maxPixels} pixels together at most`;
    throw refusal([...path, "width"], "out_of_range", message);
  }
  if (number("maxSequenceLength") > limits.maxSequenceLength) {
    fail("maxSequenceLength", limits.maxSequenceLength);
  }
  for (const name of ["prompts", "negativePrompt"]) {
    for (const text of list(name)) {
      if (typeof text === "string" && text.length > limits.maxPromptLength) {
        fail(name, limits.maxPromptLength);
      }
    }
  }
  checkLoras(parameters["loras"], models.loras, path);
  for (const name of MODEL_PARAMETERS) {
    const model = parameters[name];
    const names = namesFor(name, stage, models);
    if (typeof model === "string" && !names.includes(model)) {
      throw unknownModel(model, names, [...path, name].join("."));
    }
  }
}

/** Holds the adapters of a run against those that are served: others could be any file of the server. */
function checkLoras(loras: unknown, names: readonly string[], path: readonly string[]): void {
  for (const lora of Array.isArray(loras) ? loras : []) {
    const { name } = Object(lora);
    if (typeof name === "string" && names.includes(name)) continue;
    const param = [...path, "loras"].join(".");
    const hint = names.length === 0 ? "No LoRA is served" : `Did you mean "${nearest(String(name), names)}"?`;
    const shown = JSON.stringify(String(name).slice(0, 100));
    throw new ApiError("adapter_not_found", `There is no LoRA ${shown}. ${hint}`, { param });
  }
}

/**
 * The names that a parameter may give: what a stage would find to be another component is refused beforehand.
 */
function namesFor(
  parameter: (typeof MODEL_PARAMETERS)[number],
  stage: string | undefined,
  { whole, decoders, transformers, controlnets }: ModelNames,
): readonly string[] {
  if (parameter === "controlnet") return controlnets;
  if (stage === "decode") return decoders;
  if (stage !== undefined && !WHOLE_STAGES.has(stage)) {
    return [...new Set([...whole, ...decoders, ...transformers])];
  }
  return {
    model: whole,
    transformer: transformers,
    secondTransformer: transformers,
    vae: decoders,
  }[parameter];
}

/**
 * Holds the pictures of a whole run against the bounds: several nodes may make some, and sizes may be the
 * model's own.
 *
 * @throws {ApiError} 400 if there are too many.
 */
export function requirePictures({ images, pixels }: PicturesOfRun, limits: Limits, param: string): void {
  if (images > limits.maxImages) {
    const message = `makes ${images} pictures: a request may make ${limits.maxImages} at most`;
    throw refusal([param], "out_of_range", message);
  }
  if (pixels > limits.maxPixels) {
    const message =
      `makes pictures of ${pixels} pixels together: a request may make ${limits.maxPixels} at most`;
    throw refusal([param], "out_of_range", message);
  }
}

/** The fault of a model that is not served. */
export function unknownModel(model: string, models: readonly string[], param: string): ApiError {
  const hint = models.length === 0 ? "No model is served" : `Did you mean "${nearest(model, models)}"?`;
  const name = JSON.stringify(model.length > 100 ? `${model.slice(0, 100)}…` : model);
  return new ApiError("model_not_found", `There is no model ${name}. ${hint}`, { param });
}

function outOfRange(path: readonly string[], most: number): ApiError {
  return refusal(path, "out_of_range", `must be at most ${most}`);
}

function refusal(path: readonly string[], code: ErrorCode, message: string): ApiError {
  const param = path.join(".");
  return new ApiError(code, `${param}: ${message}`, { param });
}
