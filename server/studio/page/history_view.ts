/// <reference lib="dom" />
/**
 * What was made before, and two pictures held against each other.
 *
 * @module
 */

import { useEffect, useRef, useState } from "preact/hooks";
import type { VNode } from "preact";
import { html } from "./html.ts";
import { loadHistory, show } from "./run.ts";
import { promptOf } from "./run_view.ts";
import { compared, hasOlder, history, run } from "./state.ts";
import type { Job } from "./types.ts";

/** Thumbnails of what was made before. */
export function HistoryView(): VNode {
  const isChoosing = compared.value.length === 1;
  const choose = (job: Job): void => {
    const [first] = compared.value;
    if (isChoosing && first && first.id !== job.id) compared.value = [first, job];
    else show(job);
  };
  return html`
    <section class="panel history" aria-label="History">
      <h2>History</h2>
      ${isChoosing && html`<p class="note" role="status">Choose the picture to compare with.</p>`}
      ${history.value.length === 0 && html`<p class="hint">What you make is kept here.</p>`}
      <ul>
        ${history.value.map((job) =>
          html`
            <li key=${job.id}>
              <button type="button" class="thumbnail" aria-current=${run.value?.job.id === job.id
                ? "true"
                : undefined}
                data-job=${job.id} onClick=${() => choose(job)} title=${promptOf(job)}>
                <img loading="lazy" src=${`${job.images[0]!.url}?format=webp&thumbnail=160`} alt=${promptOf(
                  job,
                )} />
                <span aria-hidden="true">${promptOf(job)}</span>
              </button>
            </li>
          `
        )}
      </ul>
      ${hasOlder.value &&
        html`<button type="button" class="button" onClick=${() => loadHistory(true)}>Older</button>`}
    </section>
  ` as VNode;
}

/** Two pictures, one over the other, with a slider between them. */
export function CompareView(): VNode | null {
  const dialog = useRef<HTMLDialogElement>(null);
  const [share, setShare] = useState(50);
  const [left, right] = compared.value;
  useEffect(() => {
    if (right && !dialog.current?.open) dialog.current?.showModal();
  }, [right]);
  if (!left || !right) return null;
  const close = (): void => {
    compared.value = [];
  };
  const picture = (job: Job, side: string): unknown =>
    html`<img class=${side} src=${job.images[0]!.url} alt=${`${side === "left" ? "Left" : "Right"}: ${
      promptOf(job)
    }`} />`;
  return html`
    <dialog class="compare" ref=${dialog} onClose=${close} aria-label="Compare two pictures">
      <div class="stack" style=${`--share: ${share}%`}>
        ${picture(right, "right")}${picture(left, "left")}
        <i class="divider" aria-hidden="true"></i>
        <input type="range" min="0" max="100" value=${share} aria-label="How much of the left picture is shown"
          onInput=${(event: InputEvent) =>
            setShare(Number((event.currentTarget as HTMLInputElement).value))} />
      </div>
      <footer>
        <span>${promptOf(left)}<small>seed ${left.images[0]!.seed}</small></span>
        <button type="button" class="button" onClick=${() => dialog.current?.close()}>Close</button>
        <span>${promptOf(right)}<small>seed ${right.images[0]!.seed}</small></span>
      </footer>
    </dialog>
  ` as VNode;
}
