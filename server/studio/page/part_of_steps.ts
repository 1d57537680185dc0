/// <reference lib="dom" />
/**
 * Two sliders that set the part of the steps in which a feature is active.
 *
 * @module
 */

import type { VNode } from "preact";
import { html } from "./html.ts";
import { Slider } from "./slider.ts";
import type { Interval } from "./state.ts";

interface PartProps {
  readonly id: string;
  readonly label: string;
  readonly value: Interval;
  readonly onValue: (value: Interval) => void;
}

/** Two sliders that cannot pass each other. */
export function PartOfSteps({ id, label, value: [start, end], onValue }: PartProps): VNode {
  return html`
    <div class="pair">
      <${Slider} id=${`${id}-from`} label=${`${label} from`} min=${0} max=${1} step=${0.05}
        value=${start}
        onValue=${(value: number) => onValue([Math.min(value, end), end])} />
      <${Slider} id=${`${id}-to`} label="to" min=${0} max=${1} step=${0.05} value=${end}
        onValue=${(value: number) => onValue([start, Math.max(value, start)])} />
    </div>
  ` as VNode;
}
