/// <reference lib="dom" />
/**
 * The form: what the picture is to show, and how it is made.
 *
 * @module
 */

import type { VNode } from "preact";
import { html } from "./html.ts";
import { cancel, generate, randomSeed } from "./run.ts";
import { change, chooseModel, chosenModel, form, isBusy, offered } from "./state.ts";

const EXAMPLES = ["cute cat", "red car", "a slice of pizza", "happy face", "rocket"];

/** The form. */
export function FormView(): VNode {
  const { prompt, negativePrompt, count, steps, guidance } = form.value;
  const { limits, models } = offered.value;
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    if (!isBusy.value && prompt.trim() !== "") generate();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onSubmit(event);
  };
  return html`
    <form class="panel form" onSubmit=${onSubmit} aria-label="Picture settings">
      <label class="field">
        <span>Prompt</span>
        <textarea id="prompt" rows="3" required maxlength=${limits["maxPromptLength"]}
          placeholder="What should the picture show?" value=${prompt}
          onInput=${(event: InputEvent) =>
            change({ prompt: valueOf(event) })} onKeyDown=${onKeyDown}></textarea>
      </label>
      <div class="examples" role="group" aria-label="Examples">
        ${EXAMPLES.map((text) =>
          html`<button type="button" class="chip" onClick=${() => change({ prompt: text })}>${text}</button>`
        )}
      </div>
      <label class="field">
        <span>Negative prompt</span>
        <input type="text" id="negative" placeholder="What it should not show" value=${negativePrompt}
          onInput=${(event: InputEvent) => change({ negativePrompt: valueOf(event) })} />
      </label>
      <label class="field">
        <span>Model</span>
        <select id="model" onChange=${(event: Event) => chooseModel(valueOf(event))}>
          ${models.map(({ id }) =>
            html`<option value=${id} selected=${id === form.value.model}>${id}</option>`
          )}
        </select>
      </label>
      <div class="pair">
        <${Slider} id="steps" label="Steps" min=${1} max=${Math.min(limits["maxSteps"] ?? 150, 60)} step=${1}
          value=${steps} onValue=${(value: number) => change({ steps: value })} />
        <${Slider} id="guidance" label="Guidance" min=${0} max=${15} step=${0.1}
          value=${guidance} onValue=${(value: number) => change({ guidance: value })} />
      </div>
      <div class="pair seeds">
        <div class="field">
          <label for="seed">Seed</label>
          <span class="seed">
            <input type="text" id="seed" inputmode="numeric" pattern="-?[0-9]{1,19}" placeholder="random"
              value=${form.value.seed} onInput=${(event: InputEvent) =>
                change({ seed: valueOf(event).trim() })} />
            <button type="button" class="icon" title="Draw a seed" aria-label="Draw a seed"
              onClick=${() => change({ seed: randomSeed() })}>⚄</button>
            <button type="button" class="icon" title="A new seed each time" aria-label="A new seed each time"
              disabled=${form.value.seed === ""} onClick=${() => change({ seed: "" })}>✕</button>
          </span>
        </div>
        <${Slider} id="count" label="Pictures" min=${1} max=${Math.min(limits["maxImages"] ?? 4, 4)} step=${1}
          value=${count} onValue=${(value: number) => change({ count: value })} />
      </div>
      <${Advanced} />
      <div class="actions">
        ${isBusy.value
          ? html`<button type="button" class="primary stop" id="cancel" onClick=${cancel}>Cancel</button>`
          : html`<button type="submit" class="primary" id="generate" disabled=${
            prompt.trim() === "" || !form.value.model
          }>
              Generate <kbd>Ctrl ↵</kbd>
            </button>`}
      </div>
    </form>
  ` as VNode;
}

/** What most people leave alone. */
function Advanced(): VNode {
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
          <option value="" selected=${scheduler === ""}>The model's own${own ? ` (${own})` : ""}</option>
          ${schedulers.map(({ name }) =>
            html`<option value=${name} selected=${scheduler === name}>${
              name.replace(/Scheduler$/, "")
            }</option>`
          )}
        </select>
      </label>
    </details>
  ` as VNode;
}

/** What a slider shows. */
interface SliderProps {
  readonly id: string;
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly value: number;
  readonly onValue: (value: number) => void;
}

/** A slider with its value beside its name. */
export function Slider({ id, label, min, max, step, value, onValue }: SliderProps): VNode {
  const share = Math.min(Math.max((value - min) / (max - min), 0), 1) * 100;
  return html`
    <label class="field slider" for=${id}>
      <span>${label}<b class="value" aria-hidden="true">${step < 1 ? value.toFixed(1) : value}</b></span>
      <input type="range" id=${id} min=${min} max=${max} step=${step} value=${value}
        style=${`--share: ${share}%`}
        onInput=${(event: InputEvent) => onValue(Number(valueOf(event)))} />
    </label>
  ` as VNode;
}

/** The value of the control that an event is from. */
export function valueOf({ currentTarget }: Event): string {
  return (currentTarget as HTMLInputElement).value;
}
