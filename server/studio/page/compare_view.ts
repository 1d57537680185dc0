/// <reference lib="dom" />
/**
 * Compares two pictures.
 *
 * @module
 */

import { useState } from "preact/hooks";
import type { VNode } from "preact";
import { useModal } from "./dialog.ts";
import { html } from "./html.ts";
import { pictureUrl } from "./server.ts";
import { valueOf } from "./slider.ts";
import { compared } from "./state.ts";
import type { Picture } from "./types.ts";
import { promptOf } from "./words.ts";

/** Two pictures stacked, with a slider between them. */
export function CompareView(): VNode | null {
  const [share, setShare] = useState(50);
  const [left, right] = compared.value;
  const dialog = useModal(left !== undefined && right !== undefined);
  if (!left || !right) return null;
  const close = (): void => {
    compared.value = [];
  };
  const picture = ({ job, index }: Picture, side: string): unknown => {
    const image = job.images[index];
    const name = `${side === "left" ? "Left" : "Right"}: ${promptOf(job)}`;
    return image && html`<img class=${side} src=${pictureUrl(image)} alt=${name} />`;
  };
  const caption = ({ job, index }: Picture): unknown =>
    html`<span>${promptOf(job)}<small>seed ${job.images[index]?.seed}</small></span>`;
  return html`
    <dialog class="compare" ref=${dialog} onClose=${close} aria-label="Compare two pictures">
      <div class="stack" style=${`--share: ${share}%`}>
        ${picture(right, "right")}${picture(left, "left")}
        <i class="divider" aria-hidden="true"></i>
        <input type="range" min="0" max="100" value=${share} aria-label="Share of the left picture that is visible"
          onInput=${(event: InputEvent) => setShare(Number(valueOf(event)))} />
      </div>
      <footer>
        ${caption(left)}
        <button type="button" class="button" onClick=${() => dialog.current?.close()}>Close</button>
        ${caption(right)}
      </footer>
    </dialog>
  ` as VNode;
}
