/**
 * pixstage: pictures from text with PixArt, stage by stage, in little memory.
 *
 * @module pixstage
 */

export { type Artifact, ArtifactError } from "./artifacts/artifact.ts";
export { FetchError } from "./network/fetch_bytes.ts";
export { FileError } from "./disk/file_error.ts";
export { SafetensorsError } from "./artifacts/safetensors_error.ts";
export { artifactId, decodeArtifact, encodeArtifact } from "./artifacts/artifact_file.ts";
export { readArtifact, writeArtifact } from "./artifacts/files_on_disk.ts";
export { FolderStore } from "./artifacts/store/folder_store.ts";
export { HttpStore, type HttpStoreOptions, StoreRequestError } from "./artifacts/store/http_store.ts";
export { MemoryStore } from "./artifacts/store/memory_store.ts";
export { type ArtifactStore, combinedStore, type RunStore } from "./artifacts/store/store.ts";
export type { DType } from "./artifacts/dtype.ts";
export { type Tensor, tensor } from "./artifacts/tensor.ts";
export { ERROR_CODES, type ErrorCode, type ErrorCodeEntry, type Fault } from "./errors/error_codes.ts";
export { exitStatus, isAbortError, toPixstageError } from "./errors/foreign_error.ts";
export {
  type ErrorDetails,
  FormatError,
  InputError,
  InternalError,
  PixstageError,
  type PixstageErrorOptions,
} from "./errors/pixstage_error.ts";
export { deserializeError, type SerializedError, serializeError } from "./errors/serialized_error.ts";
export type { SnapshotPolicy } from "./graph/snapshots.ts";
export type { GraphDocument, GraphDocumentInput } from "./graph/document.ts";
export type { RunEvent } from "./graph/events.ts";
export type { Executor } from "./graph/executors/executor.ts";
export { InlineExecutor } from "./graph/executors/inline.ts";
export { ProcessExecutor } from "./graph/executors/process.ts";
export { StageProcessError } from "./graph/hosts/host_error.ts";
export { WorkerExecutor, type WorkerExecutorOptions } from "./graph/executors/worker.ts";
export { GraphError, type GraphIssue } from "./graph/graph_error.ts";
export {
  type PictureRequest,
  type PictureRequestInput,
  pictureRequestSchema,
} from "./graph/picture_request.ts";
export { type GraphPlan, planGraph } from "./graph/plan.ts";
export { loadPlugins, PluginError } from "./graph/plugins.ts";
export type { Provenance } from "./graph/provenance.ts";
export { readArtifactFile, writeArtifactFile } from "./graph/provenance_file.ts";
export { runGraph } from "./graph/run.ts";
export type { MadeArtifact, RunOptions, RunResult } from "./graph/run_options.ts";
export { textToImage, type TextToImageOptions } from "./graph/text_to_image.ts";
export { HubError } from "./hub/hub_error.ts";
export { DEFAULT_MODEL, LocalModels } from "./hub/local_models.ts";
export { latentsToRgb } from "./images/latent_preview.ts";
export { type Client, createClient } from "./client.ts";
export { HttpExecutor, RemoteStageError } from "./graph/executors/http.ts";
export { decodePicture, encodePicture } from "./images/picture.ts";
export { artifactPixels, pictureArtifact, readPictureArtifact } from "./images/picture_artifact.ts";
export { fromPixels, type Pixels, toPixels } from "./images/pixels.ts";
export { localRun, type LocalRunOptions, open, type OpenOptions } from "./local.ts";
export {
  type CallOptions,
  type DecodeRequest,
  type DenoiseRequest,
  type EncodeRequest,
  type FromPicture,
  type GenerateRequest,
  type PictureSource,
  Pixstage,
  type PixstageOptions,
} from "./pixstage/pixstage.ts";
export { Embeddings, Image, Latents } from "./pixstage/results.ts";
export {
  CheckpointError,
  MissingComponentError,
  MissingVariantError,
  MissingWeightError,
  UnsupportedArchitectureError,
  WeightShapeError,
} from "./models/checkpoint/checkpoint_errors.ts";
export { type AdapterLayer, type LoraAdapter, openAdapter } from "./models/lora/adapter.ts";
export { AdapterError } from "./models/lora/adapter_error.ts";
export { OutOfMemoryError } from "./models/out_of_memory.ts";
export { WeightsFolderError } from "./models/onnx/weights_folder.ts";
export type { ModelReference, Models } from "./models/models.ts";
export { DeviceError } from "./runtime/device.ts";
export { OnnxRuntimeError } from "./runtime/onnxruntime_session.ts";
export { OnnxRuntimeNode } from "./runtime/onnxruntime_node.ts";
export type { ModelGraph, Runtime, Session } from "./runtime/runtime.ts";
export { createScheduler, listSchedulers } from "./schedulers/mod.ts";
export type { Scheduler } from "./schedulers/scheduler.ts";
export { builtInStages } from "./stages/mod.ts";
export { StageRegistry } from "./stages/registry.ts";
export {
  defineStage,
  type PrepareContext,
  type PreparedStage,
  type RunContext,
  type Stage,
} from "./stages/stage.ts";
