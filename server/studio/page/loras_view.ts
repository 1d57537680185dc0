/// <reference lib="dom" />
/**
 * The part of the form for LoRA adapters.
 *
 * @module
 */

import type { VNode } from "preact";
import { html } from "./html.ts";
import { Icon } from "./icons.ts";
import { Slider, valueOf } from "./slider.ts";
import { change, type ChosenLora, fittingLoras, form } from "./state.ts";

/** The chosen adapters with their weights, and a list of others that fit the model. */
export function LorasView(): VNode | null {
  const { loras, model } = form.value;
  const others = fittingLoras(model).filter(({ id }) => loras.every(({ name }) => name !== id));
  if (loras.length + others.length === 0) return null;
  const onAdd = (event: Event): void => {
    const name = valueOf(event);
    if (name !== "") change({ loras: [...loras, { name, weight: 1 }] });
  };
  return html`
    <div class="loras">
      ${loras.map((lora, place) => html`<${LoraRow} key=${lora.name} lora=${lora} place=${place} />`)}
      ${others.length > 0 && html`
        <label class="field">
          <span>${loras.length > 0 ? "Another LoRA" : "LoRA"}</span>
          <select id="add-lora" value="" onChange=${onAdd}>
            <option value="" selected>${loras.length > 0 ? "add one" : "none"}</option>
            ${others.map(({ id }) => html`<option key=${id} value=${id}>${id}</option>`)}
          </select>
        </label>
      `}
    </div>
  ` as VNode;
}

function LoraRow(
  { lora: { name, weight }, place }: { readonly lora: ChosenLora; readonly place: number },
): VNode {
  const { loras } = form.value;
  const onWeight = (value: number): void =>
    change({ loras: loras.map((lora) => lora.name === name ? { name, weight: value } : lora) });
  return html`
    <div class="lora" data-lora=${name}>
      <${Slider} id=${`lora-${place}`} label=${name} min=${-1} max=${2} step=${0.05}
        value=${weight}
        onValue=${onWeight} />
      <button type="button" class="icon" title="Remove" aria-label=${`Remove the LoRA ${name}`}
        onClick=${() => change({ loras: loras.filter((lora) => lora.name !== name) })}>
        <${Icon} name="close" />
      </button>
    </div>
  ` as VNode;
}
