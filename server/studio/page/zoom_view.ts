/// <reference lib="dom" />
/**
 * Shows a picture in full size.
 *
 * @module
 */

import { useState } from "preact/hooks";
import type { VNode } from "preact";
import { useKeys, useModal } from "./dialog.ts";
import { html } from "./html.ts";
import { Icon } from "./icons.ts";
import { pictureUrl } from "./server.ts";
import { chosenImage, zoomed } from "./state.ts";
import { promptOf } from "./words.ts";

/** A picture over the whole page, fitted to the window or at its actual size. */
export function ZoomView(): VNode | null {
  const [isActual, setActual] = useState(false);
  const shown = zoomed.value;
  const image = shown?.job.images[shown.index];
  const dialog = useModal(image !== undefined);
  useKeys(image !== undefined, ({ key }) => {
    if (key === "ArrowLeft") go(-1);
    if (key === "ArrowRight") go(1);
  });
  if (!shown || !image) return null;
  const { job } = shown;
  const count = job.images.length;
  const close = (): void => {
    zoomed.value = undefined;
    setActual(false);
  };
  const turn = (by: number, name: "left" | "right", label: string): unknown =>
    count > 1 && html`
      <button type="button" class="icon" title=${label} aria-label=${label} onClick=${() => go(by)}>
        <${Icon} name=${name} />
      </button>
    `;
  return html`
    <dialog class=${`zoom ${isActual ? "actual" : ""}`} ref=${dialog} onClose=${close}
      aria-label="Picture in full size">
      <div class="canvas" onClick=${() => setActual(!isActual)}>
        <img src=${pictureUrl(image)} width=${image.width} height=${image.height} alt=${promptOf(job)} />
      </div>
      <footer>
        ${turn(-1, "left", "The picture before")}${turn(1, "right", "The next picture")}
        <span>${promptOf(job)}<small>${image.width} × ${image.height}, seed ${image.seed}</small></span>
        <button type="button" class="button" aria-pressed=${isActual}
          onClick=${() => setActual(!isActual)}>Actual size</button>
        <button type="button" class="button" onClick=${() => dialog.current?.close()}>Close</button>
      </footer>
    </dialog>
  ` as VNode;
}

/** Shows another picture of the same job. */
function go(by: number): void {
  const { value } = zoomed;
  if (!value) return;
  const { job, index } = value;
  const next = (index + by + job.images.length) % job.images.length;
  chosenImage.value = next;
  zoomed.value = { job, index: next };
}
