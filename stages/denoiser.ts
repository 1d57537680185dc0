// This module is browser compatible.

/**
 * What denoises: the checkpoint's own transformer and scheduler, or those of another one. A DMD student and the sizes of
 * PixArt-Σ are published as a transformer alone, which shares text encoder and autoencoder with a whole checkpoint.
 *
 * @module
 */

import {
  type Checkpoint,
  readScheduler,
  SCHEDULER_FILE,
  type SchedulerConfig,
} from "../models/checkpoint/checkpoint.ts";
import type { Component } from "../models/checkpoint/component.ts";
import type { RunDefaults } from "../models/checkpoint/run_defaults.ts";
import type { ModelReference, Models } from "../models/models.ts";
import type { ModelPart } from "./stage.ts";

/** Where the parts lie. */
export interface DenoiserReference extends ModelReference {
  /** Another transformer: a checkpoint, or a folder that holds a transformer alone. */
  readonly transformer?: string | undefined;
}

/** What denoises. */
export interface Denoiser {
  /** The checkpoint: its family, and the autoencoder that says how large latents are. */
  readonly checkpoint: Checkpoint;
  /** The transformer. */
  readonly transformer: Component;
  /** What is recommended for it. A checkpoint's recommendations hold for its own transformer alone. */
  readonly defaults: RunDefaults;
  /** Reads the scheduler's configuration: the one beside another transformer, where there is one, else the checkpoint's. */
  scheduler(): Promise<SchedulerConfig>;
}

/**
 * Opens what denoises: configurations, no weights.
 *
 * @param reference Where the parts lie.
 * @param models Opens checkpoints.
 * @param signal Stops a download.
 * @returns The parts.
 */
export async function openDenoiser(
  reference: DenoiserReference,
  models: Models,
  signal?: AbortSignal,
): Promise<Denoiser> {
  const checkpoint = await models.open(reference, signal);
  const { defaults } = checkpoint;
  if (reference.transformer === undefined) {
    const transformer = await checkpoint.component("transformer");
    return { checkpoint, transformer, defaults, scheduler: () => checkpoint.scheduler() };
  }
  const transformer = await models.component({ model: reference.transformer }, "transformer", signal);
  const { source } = transformer;
  return {
    checkpoint,
    transformer,
    defaults: {},
    scheduler: async () =>
      await source.exists(SCHEDULER_FILE) ? await readScheduler(source) : await checkpoint.scheduler(),
  };
}

/** The part of a checkpoint that denoising depends on, for a stage's model parts. */
export function transformerPart({ model, variant, transformer }: DenoiserReference): ModelPart {
  const reference = transformer === undefined ? { model, variant } : { model: transformer };
  return { ...reference, component: "transformer" };
}
