/// <reference lib="dom" />
/**
 * A slider that shows its value next to its label.
 *
 * @module
 */

import type { VNode } from "preact";
import { html } from "./html.ts";

/** Properties of {@linkcode Slider}. */
interface SliderProps {
  readonly id: string;
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly value: number;
  readonly onValue: (value: number) => void;
}

/** A slider that shows its value next to its label. */
export function Slider({ id, label, min, max, step, value, onValue }: SliderProps): VNode {
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  const share = Math.min(Math.max((value - min) / (max - min), 0), 1) * 100;
  return html`
    <label class="field slider" for=${id}>
      <span>${label}<b class="value" aria-hidden="true">${value.toFixed(digits)}</b></span>
      <input type="range" id=${id} min=${min} max=${max} step=${step} value=${value}
        style=${`--share: ${share}%`}
        onInput=${(event: InputEvent) => onValue(Number(valueOf(event)))} />
    </label>
  ` as VNode;
}

/** Returns the value of the control that an event comes from. */
export function valueOf({ currentTarget }: Event): string {
  const isControl = currentTarget instanceof HTMLInputElement || currentTarget instanceof HTMLSelectElement ||
    currentTarget instanceof HTMLTextAreaElement;
  return isControl ? currentTarget.value : "";
}
