/**
 * Turns the form into a request.
 *
 * @module
 */

import { type Form, type Interval, strengthOf } from "./state.ts";

/** Returns the reason why the form cannot be sent; empty if it can. */
export function lackOf({ prompt, model, controlnet, control }: Form): string {
  if (prompt.trim() === "") return "Write a prompt first";
  if (model === "") return "The server has no model";
  return controlnet !== "" && !control ? "Choose a control picture for the ControlNet" : "";
}

/** Returns the form's request. */
export function requestOf(form: Form, seed: string): Record<string, unknown> {
  const { negativePrompt, guidance, scheduler, count, source, mask, loras, pag, stepCache } = form;
  return {
    model: form.model,
    prompts: [form.prompt],
    negativePrompt: negativePrompt || undefined,
    width: form.width,
    height: form.height,
    steps: form.steps,
    guidanceScale: guidance,
    guidanceInterval: part(form.guided),
    pagScale: pag || undefined,
    stepCache: stepCache || undefined,
    scheduler: scheduler || undefined,
    loras: loras.length > 0 ? loras : undefined,
    ...(source ? { image: source.artifact, strength: strengthOf(form) } : {}),
    ...(source && mask ? { mask: mask.artifact, softMask: mask.isSoft || undefined } : {}),
    ...controlOf(form),
    seeds: [seed],
    imagesPerPrompt: count,
  };
}

function controlOf({ controlnet, control, controlScale, controlled }: Form): object {
  if (controlnet === "" || !control) return {};
  return {
    controlnet,
    controlImage: control.artifact,
    controlnetScale: controlScale === 1 ? undefined : controlScale,
    controlnetInterval: part(controlled),
  };
}

/** Returns a part of the steps; undefined if it covers all of them. */
function part([start, end]: Interval): Interval | undefined {
  return start === 0 && end === 1 ? undefined : [start, end];
}
