/// <reference lib="dom" />
/**
 * What was made before.
 *
 * @module
 */

import type { VNode } from "preact";
import { attempt } from "./attempt.ts";
import { downloadAll } from "./download.ts";
import { found, loadOlder, search, searchFor } from "./history.ts";
import { html } from "./html.ts";
import { pictureUrl } from "./server.ts";
import { show } from "./run.ts";
import { valueOf } from "./slider.ts";
import { compared, hasOlder, history, run } from "./state.ts";
import type { Job } from "./types.ts";
import { counted, promptOf } from "./words.ts";

/** Thumbnails of what was made before. */
export function HistoryView(): VNode {
  const jobs = found.value;
  const isChoosing = compared.value.length === 1;
  const choose = (job: Job): void => {
    const [first] = compared.value;
    if (isChoosing && first && first.job.id !== job.id && job.images.length === 1) {
      compared.value = [first, { job, index: 0 }];
    } else show(job);
  };
  return html`
    <section class="panel history" aria-label="History">
      <h2>History</h2>
      ${(history.value.length > 1 || search.value !== "") && html`
        <input type="search" id="search" placeholder="Search prompts, seeds, models" aria-label="Search the history"
          value=${search.value} onInput=${(event: InputEvent) => searchFor(valueOf(event))} />
      `}
      ${isChoosing && html`<p class="note" role="status">Choose the picture to compare with.</p>`}
      ${history.value.length === 0
        ? html`<p class="hint">What you make is kept here.</p>`
        : jobs.length === 0 && html`<p class="hint" role="status">Nothing matches “${search.value}”.</p>`}
      <ul class="thumbnails">
        ${jobs.map((job) => html`<${Thumbnail} key=${job.id} job=${job} onChoose=${choose} />`)}
      </ul>
      ${hasOlder.value && search.value === "" && html`
        <button type="button" class="button wide" onClick=${() => attempt(() => loadOlder())}>Older</button>
      `}
      ${jobs.length > 1 && html`
        <button type="button" class="button wide" id="download-history"
          onClick=${() => downloadAll(jobs, "pixstage-pictures")}>
          Download ${counted(jobs.reduce((sum, { images }) => sum + images.length, 0), "picture")}
        </button>
      `}
    </section>
  ` as VNode;
}

function Thumbnail({ job, onChoose }: { readonly job: Job; readonly onChoose: (job: Job) => void }): VNode {
  const [image] = job.images;
  const count = job.images.length;
  const prompt = promptOf(job);
  return html`
    <li>
      <button type="button" class="thumbnail" data-job=${job.id} title=${prompt} onClick=${() =>
        onChoose(job)}
        aria-current=${run.value?.job.id === job.id ? "true" : undefined}>
        ${image && html`
          <img loading="lazy" width="160" height="160"
            src=${pictureUrl(image, { format: "webp", thumbnail: "160" })} alt=${prompt} />
        `}
        <span aria-hidden="true">${prompt}</span>
        ${count > 1 && html`<b class="count" aria-label=${`${count} pictures`}>${count}</b>`}
      </button>
    </li>
  ` as VNode;
}
