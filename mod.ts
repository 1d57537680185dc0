/**
 * pixstage: pictures from text with PixArt, stage by stage, in little memory.
 *
 * @module
 */

export { type Artifact, ArtifactError } from "./artifacts/artifact.ts";
export { artifactId, decodeArtifact, encodeArtifact } from "./artifacts/artifact_file.ts";
export { readArtifact, writeArtifact } from "./artifacts/disk.ts";
export type { DType } from "./artifacts/dtype.ts";
export { type Tensor, tensor } from "./artifacts/tensor.ts";
export type { GraphDocument, GraphDocumentInput } from "./graph/document.ts";
export type { RunEvent } from "./graph/events.ts";
export type { Executor } from "./graph/executors/executor.ts";
export { InlineExecutor } from "./graph/executors/inline.ts";
export { GraphError, type GraphIssue } from "./graph/graph_error.ts";
export {
  type PictureRequest,
  type PictureRequestInput,
  pictureRequestSchema,
} from "./graph/picture_request.ts";
export { type GraphPlan, planGraph } from "./graph/plan.ts";
export { runGraph, type RunOptions, type RunResult } from "./graph/run.ts";
export { textToImage, type TextToImageOptions } from "./graph/text_to_image.ts";
export { DEFAULT_MODEL, LocalModels } from "./hub/local_models.ts";
export { decodePicture, encodePicture } from "./images/picture.ts";
export { fromPixels, type Pixels, toPixels } from "./images/pixels.ts";
export { localRun, type LocalRunOptions } from "./local.ts";
export type { ModelReference, Models } from "./models/models.ts";
export { OnnxRuntimeNode } from "./runtime/onnxruntime_node.ts";
export type { ModelGraph, Runtime, Session } from "./runtime/runtime.ts";
export { createScheduler, SCHEDULERS } from "./schedulers/mod.ts";
export type { Scheduler } from "./schedulers/scheduler.ts";
export { builtInStages } from "./stages/mod.ts";
export { StageRegistry } from "./stages/registry.ts";
export { defineStage, type Stage, type StageContext } from "./stages/stage.ts";
