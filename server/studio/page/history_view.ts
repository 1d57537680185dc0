/// <reference lib="dom" />
/**
 * The history of finished pictures.
 *
 * @module
 */

import type { VNode } from "preact";
import { attempt } from "./attempt.ts";
import { downloadAll } from "./download.ts";
import { filter, found, hasMore, isFiltered, loadOlder, narrow, star } from "./history.ts";
import { html } from "./html.ts";
import { Icon } from "./icons.ts";
import { pictureUrl } from "./server.ts";
import { show } from "./run.ts";
import { valueOf } from "./slider.ts";
import { compared, history, run } from "./state.ts";
import type { Job } from "./types.ts";
import { counted, promptOf } from "./words.ts";

/** Thumbnails of finished pictures. */
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
      ${(history.value.length > 1 || isFiltered.value) && html`
        <div class="filter">
          <input type="search" id="search" placeholder="Search prompts, seeds, models" aria-label="Search the history"
            value=${filter.value.words} onInput=${(event: InputEvent) => narrow({ words: valueOf(event) })} />
          <button type="button" class="icon" id="starred" title="Starred only" aria-label="Starred only"
            aria-pressed=${filter.value.isStarred} onClick=${() =>
              narrow({ isStarred: !filter.value.isStarred })}><${Icon} name="star" /></button>
        </div>
      `}
      ${isChoosing && html`<p class="note" role="status">Choose the picture to compare with.</p>`}
      ${history.value.length === 0
        ? html`<p class="hint">Your pictures appear here.</p>`
        : jobs.length === 0 && html`<p class="hint" role="status">${nothingFound()}</p>`}
      <ul class="thumbnails">
        ${jobs.map((job) => html`<${Thumbnail} key=${job.id} job=${job} onChoose=${choose} />`)}
      </ul>
      ${hasMore.value && html`
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

function nothingFound(): string {
  const { words } = filter.value;
  return words.trim() === "" ? "Nothing is starred." : `Nothing matches “${words}”.`;
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
      <button type="button" class="star" title=${job.starred ? "Unstar" : "Star"}
        aria-label=${`Star: ${prompt}`} aria-pressed=${job.starred} onClick=${() =>
          star(job)}><${Icon} name="star" /></button>
    </li>
  ` as VNode;
}
