// This module is browser compatible.

/**
 * pixstage without a disk or a process: for browsers, workers and edge runtimes. Checkpoints are read over
 * HTTP by byte range, and run on ONNX Runtime's web library.
 *
 * @example A picture in a browser
 * ```ts ignore
 * // not run: needs a page that serves the checkpoint and ONNX Runtime's web library (docs/browser.md)
 * import * as ort from "onnxruntime-web/wasm";
 * import { OnnxRuntimeWeb, open, openHttpSource } from "./web.ts";
 *
 * const files = await (await fetch("/models/pixstage-emoji/files.json")).json();
 * const source = openHttpSource(new URL("/models/pixstage-emoji/", location.href).href, { files });
 * const pix = open({ "pixstage-emoji": source }, new OnnxRuntimeWeb(ort));
 * const [cat] = await pix.generate({ prompt: "cute cat" });
 * const png = await cat.encode("png");
 * ```
 *
 * @module pixstage/web
 */

import { InlineExecutor } from "./graph/executors/inline.ts";
import type { RunOptions } from "./graph/run_options.ts";
import { GivenModels } from "./models/checkpoint/given_models.ts";
import type { CheckpointSource } from "./models/checkpoint/source.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { Pixstage, type PixstageOptions } from "./pixstage/pixstage.ts";
import { builtInStages } from "./stages/mod.ts";

export { type Artifact, ArtifactError } from "./artifacts/artifact.ts";
export { artifactId, decodeArtifact, encodeArtifact } from "./artifacts/artifact_file.ts";
export { FetchError } from "./network/fetch_bytes.ts";
export { HttpStore, type HttpStoreOptions } from "./artifacts/store/http_store.ts";
export { MemoryStore } from "./artifacts/store/memory_store.ts";
export { type Tensor, tensor } from "./artifacts/tensor.ts";
export { ERROR_CODES, type ErrorCode, type ErrorCodeEntry, type Fault } from "./errors/error_codes.ts";
export { isAbortError, toPixstageError } from "./errors/foreign_error.ts";
export {
  type ErrorDetails,
  FormatError,
  InputError,
  InternalError,
  PixstageError,
  type PixstageErrorOptions,
} from "./errors/pixstage_error.ts";
export { deserializeError, type SerializedError, serializeError } from "./errors/serialized_error.ts";
export type { GraphDocument, GraphDocumentInput } from "./graph/document.ts";
export type { RunEvent } from "./graph/events.ts";
export { HttpExecutor } from "./graph/executors/http.ts";
export { GraphError, type GraphIssue } from "./graph/graph_error.ts";
export type { PictureRequest, PictureRequestInput } from "./graph/picture_request.ts";
export { runGraph } from "./graph/run.ts";
export type { MadeArtifact, RunOptions, RunResult } from "./graph/run_options.ts";
export { textToImage, type TextToImageOptions } from "./graph/text_to_image.ts";
export {
  type CallOptions,
  type GenerateRequest,
  Pixstage,
  type PixstageOptions,
} from "./pixstage/pixstage.ts";
export { Embeddings, Image, Latents } from "./pixstage/results.ts";
export { decodePicture, encodePicture } from "./images/picture.ts";
export { artifactPixels, pictureArtifact, readPictureArtifact } from "./images/picture_artifact.ts";
export { provideWasmCodec, type WasmCodecName } from "./images/wasm_codec.ts";
export { fromPixels, type Pixels, toPixels } from "./images/pixels.ts";
export { toRgba } from "./images/rgba.ts";
export { GivenModels } from "./models/checkpoint/given_models.ts";
export { type HttpSourceOptions, openHttpSource } from "./models/checkpoint/http_source.ts";
export type { CheckpointSource } from "./models/checkpoint/source.ts";
export {
  type OnnxRuntimeLibrary,
  OnnxRuntimeWeb,
  type OnnxRuntimeWebOptions,
} from "./runtime/onnxruntime_web.ts";
export type { ModelGraph, Runtime, Session } from "./runtime/runtime.ts";
export { builtInStages } from "./stages/mod.ts";
export { StageRegistry } from "./stages/registry.ts";
export {
  defineStage,
  type PrepareContext,
  type PreparedStage,
  type RunContext,
  type Stage,
} from "./stages/stage.ts";

/** Options for opening pixstage in a browser or an edge runtime. */
export interface OpenOptions extends Pick<PixstageOptions, "residency" | "store"> {
  /** The default checkpoint. The default is the first of the sources. */
  readonly model?: string | undefined;
}

/**
 * Opens pixstage in the calling thread. Run it in a worker to keep a page responsive.
 *
 * @param sources The checkpoints, by the names that calls use.
 * @param runtime Runs the graphs.
 * @param options The default checkpoint, the store, and how long weights stay in memory.
 * @returns The library's entry point.
 */
export function open(
  sources: Readonly<Record<string, CheckpointSource>>,
  runtime: Runtime,
  { model = Object.keys(sources)[0] ?? "", ...options }: OpenOptions = {},
): Pixstage {
  return new Pixstage({ ...options, ...webRun(sources, runtime), model });
}

/** The result of {@linkcode webRun}. */
export type WebRun = Pick<RunOptions, "registry" | "executors">;

/**
 * Returns the options with which `runGraph` runs in the calling thread. Run it in a worker to keep a page
 * responsive.
 *
 * @param sources The checkpoints, by the names that graphs use.
 * @param runtime Runs the graphs.
 * @returns Options for `runGraph`, to which a store, a signal and an event handler can be added.
 */
export function webRun(sources: Readonly<Record<string, CheckpointSource>>, runtime: Runtime): WebRun {
  const models = new GivenModels(sources);
  return { registry: builtInStages(), executors: [new InlineExecutor({ models, runtime })] };
}
