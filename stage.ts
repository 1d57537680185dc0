// This module is browser compatible.

/**
 * Everything that the author of a plugin needs to write stages, architectures and schedulers.
 *
 * @module pixstage/stage
 */

export { type Artifact, ArtifactError, type JsonObject, type JsonValue } from "./artifacts/artifact.ts";
export { type Embeddings, packEmbeddings, unpackEmbeddings } from "./artifacts/embeddings.ts";
export { imageLatents, unpackLatents } from "./artifacts/latents.ts";
export type { ArtifactOutline } from "./artifacts/outline.ts";
export { type Tensor, tensor } from "./artifacts/tensor.ts";
export { InputError, PixstageError } from "./errors/pixstage_error.ts";
export { latentsToRgb } from "./images/latent_preview.ts";
export { fromPixels, type Pixels, toPixels } from "./images/pixels.ts";
export type {
  Architecture,
  DecoderModel,
  DenoiserModel,
  OpenDecoder,
  OpenDenoiser,
  OpenPictureEncoder,
  OpenTextEncoder,
  PictureEncoderModel,
  TextEncoderModel,
} from "./models/architecture.ts";
export type { Checkpoint } from "./models/checkpoint/checkpoint.ts";
export type { Component } from "./models/checkpoint/component.ts";
export type { Weights } from "./models/checkpoint/weights.ts";
export { Layers } from "./models/layers.ts";
export { type MemoryChoice, PROCESS_BYTES, weightBytes } from "./models/memory.ts";
export type { ModelReference, Models } from "./models/models.ts";
export { GraphBuilder } from "./models/onnx/graph_builder.ts";
export type { Value } from "./models/onnx/graph_parts.ts";
export { SegmentedModel } from "./models/segments.ts";
export type { Runtime, Session } from "./runtime/runtime.ts";
export { addTrainingNoise } from "./schedulers/add_noise.ts";
export { alphasCumprod, betaOptions } from "./schedulers/betas.ts";
export { defineScheduler, type SchedulerDefinition } from "./schedulers/definition.ts";
export { OrderedScheduler, type StepCall } from "./schedulers/ordered_scheduler.ts";
export { predictClean, type PredictionType, predictNoise } from "./schedulers/prediction.ts";
export { stepsOf } from "./schedulers/run_options.ts";
export type { DrawNoise, Scheduler, SchedulerState, StepResult } from "./schedulers/scheduler.ts";
export { trainingLevel } from "./schedulers/signal_level.ts";
export { loadReport, modelParameters } from "./stages/model.ts";
export {
  defineStage,
  type Port,
  type Ports,
  type PrepareContext,
  type PreparedStage,
  type RunContext,
  type Snapshots,
  type Stage,
  type WeightUse,
} from "./stages/stage.ts";
export type { StageReport } from "./stages/stage_report.ts";
