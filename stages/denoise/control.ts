// This module is browser compatible.

/**
 * ControlNets: pictures that a denoising follows, by a network beside the transformer.
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
  /** What its residuals are multiplied by: 1 unless given. Off at 0. */
  controlnetScale: z.number().nonnegative().optional(),
  /** The part of the steps that it has a part in. All unless given. */
  controlnetInterval: stepIntervalSchema.optional(),
};

/** The parameters of a ControlNet, parsed. */
export type ControlParameters = z.infer<z.ZodObject<typeof controlParameters>>;

/** The control of a run. */
export interface ControlSettings {
  /** What residuals are multiplied by. */
  readonly scale: number;
  /** The part of the steps that are controlled, where it is not all of them. */
  readonly interval: StepInterval | undefined;
  /** Whether a call of the model is controlled. */
  isOn(call: number): boolean;
}

/**
 * Resolves the control of a run. A call i of n is controlled unless i / n < start or (i + 1) / n > end, the rule of
 * diffusers' ControlNet pipelines (`control_guidance_start` and `control_guidance_end`).
 *
 * @param parameters The stage's parameters.
 * @param calls Calls of the model for one image.
 * @returns The control; undefined where no call is controlled.
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

/** The size of the picture that a run follows: that of its pictures where no other is asked for. */
export function followedSizes(
  { controlnet, controlnetScale }: ControlParameters,
  { control }: { readonly control?: ArtifactOutline | undefined },
  denoiser: DenoiserModel,
): PictureOutline["sizes"] {
  return controlnet === undefined || controlnetScale === 0 || !control
    ? undefined
    : latentSizes(control, denoiser);
}

/** Sentences about what was asked for of control and does not change the result. */
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

/** What a result depends on by control, beside the ControlNet and the picture. */
export function controlIdentity({ scale, interval }: ControlSettings): JsonObject {
  return { scale, ...(interval ? { interval } : {}) };
}

/** Refuses control without the latents of a picture. */
export function requireControl<T>(control: T | undefined): T {
  if (control !== undefined) return control;
  throw new InputError(
    "missing_input",
    "Cannot follow a picture as its latents must be connected to the input control",
    { details: { field: "controlnet" } },
  );
}

/** Refuses control latents of another shape than those of the images: there is one picture, or one for each image. */
export function checkControlShape(found: readonly number[], images: number, shape: readonly number[]): void {
  const [pictures, ...rest] = found;
  if ((pictures === 1 || pictures === images) && String(rest) === String(shape.slice(1))) return;
  const wanted = images === 1 ? `[${[1, ...shape.slice(1)]}]` : `[1 or ${images},${shape.slice(1)}]`;
  throw new ArtifactError(
    `Cannot follow a picture as the shape of its latents must be ${wanted}: it is [${found}]`,
    { details: { field: "control" } },
  );
}

/** A ControlNet that fits the denoiser of a run. */
export interface RunControlNet {
  /** What it is. */
  readonly model: ControlNetModel;
  /** Its component and weights, for opening. */
  readonly component: Component;
  /** Its weights. */
  readonly weights: Weights;
  /** The weights that the result depends on. */
  readonly use: WeightUse;
}

/**
 * Opens the ControlNet of a run, and refuses one that does not fit the denoiser. Reads its configuration and the header of
 * its weights alone.
 *
 * @param name The ControlNet, as the parameters name it.
 * @param models Opens components.
 * @param denoiser The denoiser.
 * @param signal Stops a download.
 * @throws {InputError} if the denoiser takes no ControlNet.
 * @throws {CheckpointError} if it does not fit.
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
      `Cannot follow a picture as ${denoiser.component.name} takes no ControlNet`,
      { details: { field: "controlnet" } },
    );
  }
  const component = await models.component({ model: name }, "controlnet", signal);
  const weights = await checkComponent("controlnet", component);
  const model = denoiser.controlNet(component, weights);
  return { model, component, weights, use: { model: name, component: "controlnet", content: component } };
}
