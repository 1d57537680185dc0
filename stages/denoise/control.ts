// This module is browser compatible.

/**
 * ControlNets: networks beside the transformer that make denoising follow a picture.
 *
 * @module
 */

import { z } from "zod";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { ArtifactError } from "../../artifacts/artifact.ts";
import { InputError } from "../../errors/pixstage_error.ts";
import type { ControlNetModel, DenoiserModel } from "../../models/architecture.ts";
import type { Component } from "../../models/checkpoint/component.ts";
import type { Weights } from "../../models/checkpoint/weights.ts";
import { checkComponent } from "../../models/check_component.ts";
import type { Models } from "../../models/models.ts";
import type { WeightUse } from "../stage.ts";
import type { ArtifactOutline } from "../../artifacts/outline.ts";
import { latentSizes, type PictureOutline } from "./picture.ts";
import { type StepInterval, stepIntervalSchema } from "./step_interval.ts";

/** The parameters of a ControlNet. */
export const controlParameters = {
  /** A ControlNet: a folder, `org/name` or `org/name@revision`. */
  controlnet: z.string().min(1, "A ControlNet is needed").optional(),
  /** Factor applied to its residuals. The default is 1. 0 turns it off. */
  controlnetScale: z.number().nonnegative().optional(),
  /** The part of the steps in which the ControlNet is active. The default is all steps. */
  controlnetInterval: stepIntervalSchema.optional(),
};

/** The parameters of a ControlNet, parsed. */
export type ControlParameters = z.infer<z.ZodObject<typeof controlParameters>>;

/** The ControlNet settings of a run. */
export interface ControlSettings {
  /** Factor applied to the residuals. */
  readonly scale: number;
  /** The part of the steps in which the ControlNet is active, if not all of them. */
  readonly interval: StepInterval | undefined;
  /** Returns whether the ControlNet is active in a call of the model. */
  isOn(call: number): boolean;
}

/**
 * Resolves the ControlNet settings of a run. Call i of n is controlled unless i / n < start or (i + 1) / n >
 * end, the rule of diffusers' ControlNet pipelines (`control_guidance_start` and `control_guidance_end`).
 *
 * @param parameters The stage's parameters.
 * @param calls Number of model calls for one image.
 * @returns The settings, or `undefined` if no call is controlled.
 */
export function resolveControl(
  { controlnet, controlnetScale: scale = 1, controlnetInterval = [0, 1] }: ControlParameters,
  calls: number,
): ControlSettings | undefined {
  const [start, end] = controlnetInterval;
  const isOn = (call: number): boolean => !(call / calls < start || (call + 1) / calls > end);
  const controlled = Array.from({ length: calls }, (_, call) => isOn(call));
  if (controlnet === undefined || scale === 0 || !controlled.includes(true)) return undefined;
  return { scale, interval: controlled.includes(false) ? controlnetInterval : undefined, isOn };
}

/** Returns the size of the picture that a run follows. It is the default size of the run's pictures. */
export function followedSizes(
  { controlnet, controlnetScale }: ControlParameters,
  { control }: { readonly control?: ArtifactOutline | undefined },
  denoiser: DenoiserModel,
): PictureOutline["sizes"] {
  return controlnet === undefined || controlnetScale === 0 || !control
    ? undefined
    : latentSizes(control, denoiser);
}

/** Returns warnings about ControlNet parameters that have no effect. */
export function controlWithoutEffect(
  { controlnet, controlnetScale, controlnetInterval }: ControlParameters,
  control: ControlSettings | undefined,
): string[] {
  if (control) return [];
  if (controlnet !== undefined) {
    return [
      `The ControlNet has no effect: ${controlnetScale === 0 ? "its scale is 0" : "no step is controlled"}`,
    ];
  }
  const asked = controlnetScale !== undefined
    ? "controlnetScale"
    : controlnetInterval
    ? "controlnetInterval"
    : undefined;
  return asked ? [`${asked} has no effect without a ControlNet`] : [];
}

/**
 * Returns the part of a result's identity that the ControlNet settings determine, without the ControlNet and
 * the picture.
 */
export function controlIdentity({ scale, interval }: ControlSettings): JsonObject {
  return { scale, ...(interval ? { interval } : {}) };
}

/** Throws if a ControlNet has no latents of a picture to follow. */
export function requireControl<T>(control: T | undefined): T {
  if (control !== undefined) return control;
  throw new InputError(
    "missing_input",
    'Cannot use a ControlNet without a picture: connect its latents to the input "control"',
    { details: { field: "controlnet" } },
  );
}

/**
 * Throws if control latents do not match the shape of the images. There must be one picture, or one per
 * image.
 */
export function checkControlShape(found: readonly number[], images: number, shape: readonly number[]): void {
  const [pictures, ...rest] = found;
  if ((pictures === 1 || pictures === images) && String(rest) === String(shape.slice(1))) return;
  const wanted = images === 1 ? `[${[1, ...shape.slice(1)]}]` : `[1 or ${images},${shape.slice(1)}]`;
  throw new ArtifactError(
    `Cannot use control latents of shape [${found}]: expected ${wanted}`,
    { details: { field: "control" } },
  );
}

/** A ControlNet that matches the denoiser of a run. */
export interface RunControlNet {
  /** The ControlNet's architecture. */
  readonly model: ControlNetModel;
  /** The ControlNet's component, for opening. */
  readonly component: Component;
  /** The ControlNet's weights. */
  readonly weights: Weights;
  /** The weights that determine the result. */
  readonly use: WeightUse;
}

/**
 * Opens the ControlNet of a run and checks it against the denoiser. Reads only its configuration and the
 * header of its weights.
 *
 * @param name The ControlNet, as the parameters name it.
 * @param models Opens components.
 * @param denoiser The denoiser.
 * @param signal Stops a download.
 * @throws {InputError} if the denoiser does not support ControlNets.
 * @throws {CheckpointError} if the ControlNet does not match the denoiser.
 */
export async function openControlNet(
  name: string,
  models: Models,
  denoiser: DenoiserModel,
  signal: AbortSignal,
): Promise<RunControlNet> {
  if (!denoiser.controlNet) {
    throw new InputError(
      "unsupported_architecture",
      `Cannot use a ControlNet: ${denoiser.component.name} does not support them`,
      { details: { field: "controlnet" } },
    );
  }
  const component = await models.component({ model: name }, "controlnet", signal);
  const weights = await checkComponent("controlnet", component);
  const model = denoiser.controlNet(component, weights);
  return { model, component, weights, use: { model: name, component: "controlnet", content: component } };
}
