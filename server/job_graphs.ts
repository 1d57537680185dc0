/**
 * Turns requests into job orders.
 *
 * @module
 */

import { outlineOfFile } from "../artifacts/artifact_file.ts";
import { readSafetensorsFileHeader } from "../artifacts/files_on_disk.ts";
import { asJson, canonicalJson } from "../artifacts/canonical_json.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import type { GraphDocument } from "../graph/document.ts";
import { storedOrigin } from "../graph/lineage.ts";
import { describeOrigin } from "../graph/provenance.ts";
import { onePicture } from "../graph/one_picture.ts";
import { resumeGraph } from "../graph/resume.ts";
import type { PictureRequestInput } from "../graph/picture_request.ts";
import { textToImage } from "../graph/text_to_image.ts";
import {
  checkGraph,
  checkParameters,
  type ModelNames,
  requirePictures,
  unknownModel,
} from "./check_graph.ts";
import { ApiError } from "./api_error.ts";
import { checkInTime } from "./check_in_time.ts";
import type { PlanningContext, ServerContext } from "./context.ts";
import type { JobOrder } from "./jobs/jobs_options.ts";
import type { ResumeRequest } from "./schemas/job_request.ts";
import type { ServedModel } from "./served_models.ts";

/** Finds a model in the list. Without a name, returns the first one. */
export function findModel(
  models: readonly ServedModel[],
  name: string | null | undefined,
  param: string,
): ServedModel {
  const found = name === undefined || name === null ? models[0] : models.find((model) => model.name === name);
  if (found) return found;
  throw unknownModel(name ?? "", models.map(({ name }) => name), param);
}

/** Returns the names that stage parameters may use for models. */
export function modelNames(
  { models, decoders, transformers, controlnets, loras }: Omit<PlanningContext, "engine">,
): ModelNames {
  const names = (served: readonly { readonly name: string }[]) => served.map(({ name }) => name);
  return { whole: names(models), decoders, transformers, controlnets, loras: names(loras) };
}

/** Input pictures of a request, as artifact ids. */
export interface RequestPictures {
  /** The picture to edit. */
  readonly image?: string | undefined;
  /** The mask. White areas are repainted. */
  readonly mask?: string | undefined;
  /** The picture that a ControlNet follows. */
  readonly controlImage?: string | undefined;
}

/**
 * Builds the graph of a picture request. A request without a precision has the server's.
 *
 * @param request The request, parsed.
 * @param context The server's models, stages and limits.
 * @param path The request's path in the body, for errors.
 * @param pictures The request's input pictures.
 * @returns The graph, validated.
 * @throws {ApiError} with the first fault.
 */
export function pictureGraph(
  request: PictureRequestInput,
  context: Omit<PlanningContext, "engine">,
  path: readonly string[],
  pictures: RequestPictures = {},
): GraphDocument {
  const { limits, models: served } = context;
  const models = modelNames(context);
  checkParameters(request, { limits, models }, path);
  findModel(served, request.model, [...path, "model"].join("."));
  let graph;
  try {
    const named = (artifact: string | undefined) => artifact === undefined ? undefined : { artifact };
    graph = textToImage({ ...request, precision: request.precision ?? context.precision }, {
      image: named(pictures.image),
      mask: named(pictures.mask),
      controlImage: named(pictures.controlImage),
    });
  } catch (error) {
    if (!(error instanceof PixstageError) || error.fault !== "caller") throw error;
    throw ApiError.from(error, { path });
  }
  return checkGraph(graph, { limits, models, registry: context.registry }, []);
}

/**
 * Builds the graph that resumes from an artifact.
 *
 * @param request The artifact, and the settings to change.
 * @param context The server's state.
 * @returns The graph, validated.
 * @throws {ApiError} 404 if there is no such artifact, 400 if the run cannot resume from it in that way.
 */
export async function resumedGraph(
  { artifact: id, image, ...changes }: ResumeRequest,
  context: ServerContext,
): Promise<GraphDocument> {
  const { limits, registry, artifacts, store } = context;
  const path = ["resume"];
  const file = await artifacts.find(id);
  if (!file) {
    throw new ApiError("artifact_not_found", `There is no artifact ${id}`, { param: "resume.artifact" });
  }
  const { kind, metadata } = outlineOfFile(await readSafetensorsFileHeader(file.path), id);
  const origin = await storedOrigin(id, store);
  if ("artifact" in origin) {
    throw new ApiError("invalid_value", `The server has no record of how artifact ${id} was made`, {
      param: "resume.artifact",
    });
  }
  const provenance = describeOrigin(origin);
  let resumed;
  try {
    const point = {
      provenance: image === undefined ? provenance : onePicture(provenance, image),
      artifact: { kind, metadata },
      // One of several latents is made again alone: an input of a graph is a whole artifact.
      input: kind === "latents" && image !== undefined ? undefined : { artifact: id },
    };
    resumed = resumeGraph(point, changes);
  } catch (error) {
    if (!(error instanceof PixstageError) || error.fault !== "caller") throw error;
    throw ApiError.from(error, { path });
  }
  return checkGraph(resumed.graph, { limits, models: modelNames(context), registry }, path);
}

const KEPT_IN_VAIN = "Parameter keep_alive was ignored because the workers of a queue run the stages";

/**
 * Turns a graph into an order. Refuses a graph that its stages would refuse after reading their models'
 * configurations, or whose pictures exceed the limits.
 *
 * @throws {ApiError} if the graph is refused.
 */
export async function orderOf(
  order: Omit<JobOrder, "key" | "graph" | "warnings"> & {
    readonly graph: GraphDocument;
    readonly warnings?: readonly string[];
  },
  { engine, limits }: Pick<PlanningContext, "engine" | "limits">,
): Promise<JobOrder> {
  let found;
  try {
    found = await checkInTime(limits, (signal) => engine.check(order.graph, signal));
  } catch (error) {
    const reply = ApiError.from(error);
    throw reply.status < 500 ? reply : error;
  }
  requirePictures(found.pictures, limits, order.kind === "picture" ? "request" : "graph");
  // Two runs are the same if they have the same graph, the same snapshots to start from, and the same
  // reports.
  const { graph, previews, snapshots = null, saved = null, warnings = [] } = order;
  const isKeptInVain = order.keepAliveMs !== undefined && !engine.keepsHosts;
  return {
    ...order,
    warnings: [
      ...new Set([...warnings, ...(isKeptInVain ? [KEPT_IN_VAIN] : []), ...found.warnings]),
    ],
    key: canonicalJson(asJson({ graph, previews, snapshots, saved })),
  };
}
