/// <reference lib="dom" />
/**
 * Ways to resume from a finished picture: with another decoder, or with other settings for the remaining
 * steps.
 *
 * @module
 */

import { useState } from "preact/hooks";
import type { VNode } from "preact";
import { goOn } from "./actions_view.ts";
import { html } from "./html.ts";
import { order } from "./run.ts";
import { settingsOfPicture } from "./settings.ts";
import { Slider, valueOf } from "./slider.ts";
import { chosenModel, form, isOrdering, offered } from "./state.ts";
import type { Picture } from "./types.ts";
import { promptOf } from "./words.ts";

/** The ways to resume. */
export function GoOnView({ picture }: { readonly picture: Picture }): VNode {
  const { job, index } = picture;
  const { decoders } = offered.value;
  const artifact = job.images[index]?.artifact ?? "";
  // The store contains the latents of all pictures of a job together. All of them are decoded, and none is
  // denoised again.
  const decode = (vae: string): unknown => vae && order({ resume: { artifact, vae } });
  return html`
    ${decoders.length > 1 && html`
      <label class="inline">
        <span>Decode the same latents with</span>
        <select id="decoder" disabled=${isOrdering.value} onChange=${(event: Event) =>
          decode(valueOf(event))}>
          <option value="">choose a decoder</option>
          ${decoders.map((id) => html`<option value=${id}>${id}</option>`)}
        </select>
      </label>
    `}
    <${FromStep} picture=${picture} />
  ` as VNode;
}

/** Keeps the first steps of a picture, and takes the rest with other settings. */
function FromStep({ picture }: { readonly picture: Picture }): VNode | null {
  const [chosen, setChosen] = useState(0);
  const steps = settingsOfPicture(picture)?.steps ?? chosenModel.value?.defaults.steps ?? 0;
  if (steps < 2) return null;
  const at = chosen || Math.max(1, Math.floor(steps / 2));
  const onGoOn = (): void => {
    const { prompt, negativePrompt, guidance } = form.value;
    const isOther = prompt.trim() !== "" && prompt !== promptOf(picture.job);
    goOn(picture, {
      fromStep: at,
      guidanceScale: guidance,
      prompts: isOther ? [prompt] : undefined,
      negativePrompt: isOther && negativePrompt !== "" ? negativePrompt : undefined,
    });
  };
  return html`
    <details class="advanced">
      <summary>Continue from a step</summary>
      <p
        class="hint">Keeps the first steps, and takes the others with the prompts and the guidance of the form.</p>
      <div class="turn">
        <${Slider} id="turn-step" label="From step" min=${1} max=${steps - 1} step=${1}
          value=${at} onValue=${setChosen} />
        <button type="button" class="button" id="turn" disabled=${isOrdering.value}
          onClick=${onGoOn}>Continue</button>
      </div>
    </details>
  ` as VNode;
}
