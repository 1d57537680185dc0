/// <reference lib="dom" />
/**
 * The form for the picture's content and settings.
 *
 * @module
 */

import type { VNode } from "preact";
import { AdvancedView } from "./advanced_view.ts";
import { ControlView } from "./control_view.ts";
import { lackOf } from "./form_request.ts";
import { html } from "./html.ts";
import { Icon } from "./icons.ts";
import { LorasView } from "./loras_view.ts";
import { generate, randomSeed } from "./run.ts";
import { sizesOf } from "./sizes.ts";
import { Slider, valueOf } from "./slider.ts";
import { SourceView } from "./source_view.ts";
import { change, chooseModel, chosenModel, form, isOrdering, offered, queue } from "./state.ts";

const EXAMPLES = ["cute cat", "red car", "a slice of pizza", "happy face", "rocket"];

/** The form. */
export function FormView(): VNode {
  const { prompt, negativePrompt, count, steps, guidance } = form.value;
  const { limits, models } = offered.value;
  const lack = lackOf(form.value);
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    if (!isOrdering.value && lack === "") generate();
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
        <input type="text" id="negative" placeholder="What should the picture not show?" value=${negativePrompt}
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
            <button type="button" class="icon" title="Draw a random seed" aria-label="Draw a random seed"
              onClick=${() => change({ seed: randomSeed() })}><${Icon} name="dice" /></button>
            <button type="button" class="icon" title="Use a new seed each time"
              aria-label="Use a new seed each time"
              disabled=${form.value.seed === ""} onClick=${() =>
                change({ seed: "" })}><${Icon} name="close" /></button>
          </span>
        </div>
        <${Slider} id="count" label="Pictures" min=${1} max=${Math.min(limits["maxImages"] ?? 4, 4)} step=${1}
          value=${count} onValue=${(value: number) => change({ count: value })} />
      </div>
      <${Sizes} />
      <${SourceView} />
      <${LorasView} />
      <${ControlView} />
      <${AdvancedView} />
      <button type="submit" class="primary" id="generate" title=${lack}
        disabled=${lack !== "" || isOrdering.value}>
        ${queue.value.length > 0 ? "Add to the queue" : "Generate"} <kbd>Ctrl ↵</kbd>
      </button>
    </form>
  ` as VNode;
}

/** Buttons for common sizes, each drawn in its shape. */
function Sizes(): VNode | null {
  const model = chosenModel.value;
  if (!model) return null;
  const { width, height } = form.value;
  return html`
    <div class="sizes" role="group" aria-label="Size">
      ${sizesOf(model, offered.value.limits).map(({ shape, ...size }) => {
        const isChosen = size.width === width && size.height === height;
        const name = `${shape}, ${size.width} × ${size.height}`;
        return html`
          <button type="button" class="chip size" aria-pressed=${isChosen} aria-label=${name} title=${name}
            onClick=${() => change(size)}>
            <i style=${`aspect-ratio: ${size.width} / ${size.height}`}></i>${shape}
          </button>
        `;
      })}
      <span class="value">${width} × ${height}</span>
    </div>
  ` as VNode;
}
