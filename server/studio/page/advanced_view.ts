/// <reference lib="dom" />
/**
 * The advanced part of the form.
 *
 * @module
 */

import type { VNode } from "preact";
import { html } from "./html.ts";
import { PartOfSteps } from "./part_of_steps.ts";
import { Slider, valueOf } from "./slider.ts";
import { change, chosenModel, form, type Interval, offered } from "./state.ts";

/** The settings that most people leave alone. */
export function AdvancedView(): VNode {
  const { width, height, scheduler } = form.value;
  const { limits, schedulers } = offered.value;
  const own = chosenModel.value?.defaults.scheduler.replace(/Scheduler$/, "");
  const side = (name: "width" | "height"): unknown =>
    html`
      <label class="field">
        <span>${name === "width" ? "Width" : "Height"}</span>
        <input type="number" id=${name} min=${limits["minSize"]} max=${limits["maxSize"]} step="8"
          value=${name === "width" ? width : height}
          onInput=${(event: InputEvent) => change({ [name]: Number(valueOf(event)) || 0 })} />
      </label>
    `;
  return html`
    <details class="advanced">
      <summary>Size and scheduler</summary>
      <div class="pair">${side("width")}${side("height")}</div>
      <label class="field">
        <span>Scheduler</span>
        <select id="scheduler" onChange=${(event: Event) => change({ scheduler: valueOf(event) })}>
          <option value="" selected=${scheduler === ""}>Default of the model${own ? ` (${own})` : ""}</option>
          ${schedulers.map(({ name }) =>
            html`<option value=${name} selected=${scheduler === name}>${
              name.replace(/Scheduler$/, "")
            }</option>`
          )}
        </select>
      </label>
    </details>
    <${Guidance} />
  ` as VNode;
}

/** Settings of guidance, and of the steps that may be skipped. */
function Guidance(): VNode {
  const { pag, guided, stepCache } = form.value;
  return html`
    <details class="advanced" id="more-guidance">
      <summary>More about guidance</summary>
      <${PartOfSteps} id="guided" label="Guided" value=${guided}
        onValue=${(value: Interval) => change({ guided: value })} />
      <div class="pair">
        <${Slider} id="pag" label="Perturbed attention" min=${0} max=${10} step=${0.1}
          value=${pag}
          onValue=${(value: number) => change({ pag: value })} />
        <${Slider} id="step-cache" label="Step cache" min=${0} max=${0.5} step=${0.01}
          value=${stepCache}
          onValue=${(value: number) => change({ stepCache: value })} />
      </div>
      <p
        class="hint">Guided from 0 to 1 covers all steps. Perturbed attention sharpens structures and adds half to
        the time of a step; a step cache skips steps that change little. Both are off at 0.</p>
    </details>
  ` as VNode;
}
