/// <reference lib="dom" />
/**
 * The part of the form for a ControlNet and its control picture.
 *
 * @module
 */

import type { VNode } from "preact";
import { PictureChooser } from "./drop_view.ts";
import { html } from "./html.ts";
import { PartOfSteps } from "./part_of_steps.ts";
import { Slider, valueOf } from "./slider.ts";
import { follow } from "./source.ts";
import { PictureCard } from "./source_view.ts";
import { change, form, type Interval, offered } from "./state.ts";

/** A ControlNet, its control picture and its scale; nothing if the server has no ControlNet. */
export function ControlView(): VNode | null {
  const { controlnets } = offered.value;
  if (controlnets.length === 0) return null;
  const { controlnet, control, controlScale, controlled } = form.value;
  return html`
    <div class="control">
      <label class="field">
        <span>ControlNet</span>
        <select id="controlnet" onChange=${(event: Event) => change({ controlnet: valueOf(event) })}>
          <option value="" selected=${controlnet === ""}>none</option>
          ${controlnets.map((name) =>
            html`<option key=${name} value=${name} selected=${name === controlnet}>${name}</option>`
          )}
        </select>
      </label>
      ${controlnet !== "" && html`
        ${control
          ? html`<${PictureCard} picture=${control} onRemove=${() => change({ control: null })} />`
          : html`
            <${PictureChooser} id="control-file" label="Choose the control picture…"
              hint="Edges or a sketch, like those that the ControlNet was trained on"
              onFile=${(file: File) => follow(file, file.name)} />
          `}
        <${Slider} id="control-scale" label="How closely" min=${0} max=${2} step=${0.05}
          value=${controlScale}
          onValue=${(value: number) => change({ controlScale: value })} />
        <${PartOfSteps} id="controlled" label="Followed" value=${controlled}
          onValue=${(value: Interval) => change({ controlled: value })} />
      `}
    </div>
  ` as VNode;
}
