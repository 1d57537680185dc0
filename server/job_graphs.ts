/**
 * From a request to an order for the queue.
 *
 * @module
 */

import { outlineOfFile } from "../artifacts/artifact_file.ts";
import { readSafetensorsFileHeader } from "../artifacts/disk.ts";
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
import type { PlanningContext, ServerContext } from "./context.ts";
import type { JobOrder } from "./jobs/jobs_options.ts";
import type { ResumeRequest } from "./schemas/job_request.ts";
import type { ServedModel } from "./served_models.ts";

/** Finds a model of the list; the first where none is named. */
export function findModel(
  models: readonly ServedModel[],
  name: string | null | undefined,
  param: string,
): ServedModel {
  const found = name === undefined || name === null ? models[0] : models.find((model) => model.name === name);
  if (found) return found;
  throw unknownModel(name ?? "", models.map(({ name }) => name), param);
}

/** The names that stages may give for a model. */
export function modelNames(
  { models, decoders, transformers, controlnets, loras }: Omit<PlanningContext, "engine">,
): ModelNames {
  const names = (served: readonly { readonly name: string }[]) => served.map(({ name }) => name);
  return { whole: names(models), decoders, transformers, controlnets, loras: names(loras) };
}

/** Pictures that a request begins from, by the ids of their artifacts. */
export interface RequestPictures {
  /** The picture. */
  readonly image?: string | undefined;
  /** What of it is repainted: white. */
  readonly mask?: string | undefined;
  /** The picture that a ControlNet follows. */
  readonly controlImage?: string | undefined;
}

/**
 * Writes the graph of a picture request.
 *
 * @param request The request, parsed.
 * @param context What the server has.
 * @param path Where the request stands in the body, for errors.
 * @param pictures The pictures that it begins from.
 * @returns The graph, checked.
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
    graph = textToImage(request, {
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
 * Writes the graph that goes on from an artifact.
 *
 * @param request The artifact, and what is to be different.
 * @param context What the server has.
 * @returns The graph, checked.
 * @throws {ApiError} 404 if there is no such artifact, 400 if it cannot go on in that way.
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
  const { kind, metadata } = outlineOfFile(await readSafetensorsFileHeader(file.path), file.path);
  const origin = await storedOrigin(id, store);
  if ("artifact" in origin) {
    throw new ApiError("invalid_value", `Nobody knows how artifact ${id} was made`, {
      param: "resume.artifact",
    });
  }
  const provenance = describeOrigin(origin);
  let resumed;
  try {
    const point = {
      provenance: image === undefined ? provenance : onePicture(provenance, image),
      artifact: { kind, metadata },
      input: { artifact: id },
    };
    resumed = resumeGraph(point, changes);
  } catch (error) {
    if (!(error instanceof PixstageError) || error.fault !== "caller") throw error;
    throw ApiError.from(error, { path });
  }
  return checkGraph(resumed.graph, { limits, models: modelNames(context), registry }, path);
}

const KEPT_IN_VAIN =
  "Parameter keep_alive has no effect as the workers of a queue run the stages and was ignored";

/** Milliseconds that checking a graph may take. */
const CHECK_MS = 60_000;

/**
 * Refuses a graph that its stages would refuse once they read their models' configurations, or whose pictures
 * exceed the bounds, and makes an order of it.
 *
 * @throws {ApiError} with what they refuse.
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
    found = await engine.check(order.graph, AbortSignal.timeout(CHECK_MS));
  } catch (error) {
    const reply = ApiError.from(error);
    throw reply.status < 500 ? reply : error;
  }
  requirePictures(found.pictures, limits, order.kind === "picture" ? "request" : "graph");
  // What tells runs apart is the graph, where it begins, and what it reports.
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
