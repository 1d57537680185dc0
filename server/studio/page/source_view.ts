/// <reference lib="dom" />
/**
 * The part of the form for the picture to start from.
 *
 * @module
 */

import type { VNode } from "preact";
import { PictureChooser } from "./drop_view.ts";
import { html } from "./html.ts";
import { Icon } from "./icons.ts";
import { editMask } from "./mask_editor.ts";
import { Masked } from "./masked.ts";
import { receive } from "./received.ts";
import { Slider } from "./slider.ts";
import { change, fault, form, type StoredPicture, strengthOf } from "./state.ts";

/** The picture to start from, or a place to choose one. */
export function SourceView(): VNode {
  const { source, mask, steps } = form.value;
  if (!source) {
    return html`
      <${PictureChooser} id="picture-file" label="Start from a picture…" hint="Choose, drop or paste a picture"
        onFile=${receive} />
    ` as VNode;
  }
  const strength = strengthOf(form.value);
  const taken = Math.min(Math.trunc(steps * strength), steps);
  return html`
    <fieldset class="source" id="source">
      <legend>Start from</legend>
      <${PictureCard} picture=${source} mask=${mask?.artifact} onRemove=${() =>
        change({ source: null, mask: null, strength: null })}>
        <button type="button" class="chip" id="paint-mask" onClick=${editMask}>
          ${mask ? "Change the mask" : "Paint a mask"}
        </button>
        ${mask && html`
          <button type="button" class="chip" id="remove-mask" onClick=${() =>
            change({ mask: null })}>Remove the mask</button>
        `}
      <//>
      <${Slider} id="strength" label="Strength" min=${0.05} max=${1} step=${0.05} value=${strength}
        onValue=${(value: number) => change({ strength: value })} />
      <p class="hint">${taken === 0
        ? "This strength leaves no step"
        : `Repaints ${mask ? "the masked area" : "the whole picture"} in ${taken} of ${steps} steps`}</p>
    </fieldset>
  ` as VNode;
}

/** Properties of {@linkcode PictureCard}. */
interface CardProps {
  readonly picture: StoredPicture;
  /** Id of the mask's artifact. */
  readonly mask?: string | undefined;
  readonly onRemove: () => void;
  readonly children?: unknown;
}

/** A stored picture, with its name and a button that removes it from the form. */
export function PictureCard({ picture, mask, onRemove, children }: CardProps): VNode {
  const { artifact, name, width, height } = picture;
  const onGone = (): void => {
    fault.value = `The server no longer has ${name}: choose it again`;
    onRemove();
  };
  return html`
    <div class="card">
      <${Masked} artifact=${artifact} mask=${mask} alt=${name} onGone=${onGone} />
      <div class="about">
        <strong title=${name}>${name}</strong><small>${width} × ${height}</small>
        <div class="chips">${children}</div>
      </div>
      <button type="button" class="icon" title="Remove" aria-label=${`Remove ${name}`}
        onClick=${onRemove}><${Icon} name="close" /></button>
    </div>
  ` as VNode;
}
