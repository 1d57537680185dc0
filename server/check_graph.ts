/**
 * Validates a graph before it runs on the server: against the stages' own rules, against the server's limits,
 * and for access to anything beyond the server.
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

/** Rules that graphs must satisfy. */
export interface GraphRules {
  /** The stages that graphs may name. */
  readonly registry: StageRegistry;
  /** The server's limits. */
  readonly limits: Limits;
  /** Names of the served models. */
  readonly models: ModelNames;
}

/** Names that stage parameters may use, by the component that a stage needs. */
export interface ModelNames {
  /** Whole checkpoints. */
  readonly whole: readonly string[];
  /** Checkpoints and stand-alone autoencoders, which can decode latents. */
  readonly decoders: readonly string[];
  /** Checkpoints and stand-alone transformers, which can denoise. */
  readonly transformers: readonly string[];
  /** ControlNets. */
  readonly controlnets: readonly string[];
  /** LoRA adapters. */
  readonly loras: readonly string[];
}

/** Parameters of built-in stages that name a model. */
const MODEL_PARAMETERS = ["model", "transformer", "secondTransformer", "vae", "controlnet"] as const;

/** Stages that need a whole checkpoint. */
const WHOLE_STAGES: ReadonlySet<string> = new Set(["encode", "denoise", "denoise-part"]);

/**
 * Validates a graph.
 *
 * @param document The graph.
 * @param rules The rules that it must satisfy.
 * @param path Its path in the request, for errors.
 * @returns The graph, with defaults filled in.
 * @throws {ApiError} 400 with the first fault.
 */
export function checkGraph(
  document: unknown,
  rules: GraphRules,
  path: readonly string[] = ["graph"],
): GraphDocument {
  const { limits, registry } = rules;
  // Planning takes time per node, and an unknown name starts a search for similar ones.
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
          const message =
            "Files of the server cannot be read over HTTP: upload an artifact with PUT /v1/artifacts and give its id";
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
 * Checks the parameters of a stage, built-in or not, against the limits. It relies on parameter names, which
 * mean the same in every stage.
 *
 * @param parameters The parameters.
 * @param rules The limits and the model names.
 * @param path Their path in the request, for errors.
 * @param stage The stage's name; absent for a picture request, which has the parameters of several stages.
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
      throw refusal([...path, "seeds"], "out_of_range", "must have at most 20 digits");
    }
  }
  if (images * number("width") * number("height") > limits.maxPixels) {
    const message = `the pictures of a request must have at most ${limits.maxPixels} pixels in total`;
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

/** Checks that a run's LoRA adapters are served. Other names could refer to any file of the server. */
function checkLoras(loras: unknown, names: readonly string[], path: readonly string[]): void {
  for (const lora of Array.isArray(loras) ? loras : []) {
    const { name } = Object(lora);
    if (typeof name === "string" && names.includes(name)) continue;
    const param = [...path, "loras"].join(".");
    const hint = names.length === 0
      ? "This server has no LoRAs"
      : `Did you mean "${nearest(String(name), names)}"?`;
    const shown = JSON.stringify(String(name).slice(0, 100));
    throw new ApiError("adapter_not_found", `There is no LoRA ${shown}. ${hint}`, { param });
  }
}

/** Returns the names that a parameter may have. This refuses a wrong component before a stage opens it. */
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
 * Checks the pictures of a whole run against the limits. Several nodes can make pictures, and their sizes can
 * be the model's own.
 *
 * @throws {ApiError} 400 if there are too many.
 */
export function requirePictures({ images, pixels }: PicturesOfRun, limits: Limits, param: string): void {
  if (images > limits.maxImages) {
    const message = `makes ${images} pictures, but a request may make at most ${limits.maxImages}`;
    throw refusal([param], "out_of_range", message);
  }
  if (pixels > limits.maxPixels) {
    const message =
      `makes pictures of ${pixels} pixels in total, but a request may make at most ${limits.maxPixels}`;
    throw refusal([param], "out_of_range", message);
  }
}

/** Returns the error for a model that is not served. */
export function unknownModel(model: string, models: readonly string[], param: string): ApiError {
  const hint = models.length === 0
    ? "This server has no models"
    : `Did you mean "${nearest(model, models)}"?`;
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
