/// <reference lib="dom" />
/**
 * The actions for a finished picture.
 *
 * @module
 */

import type { VNode } from "preact";
import { downloadAll, fileName } from "./download.ts";
import { reuse } from "./dropped.ts";
import { remove, retry, star } from "./history.ts";
import { html } from "./html.ts";
import { order, randomSeed } from "./run.ts";
import { pictureUrl } from "./server.ts";
import { beginFromPicture } from "./source.ts";
import { compared, isOrdering } from "./state.ts";
import type { Job, Picture, Resume } from "./types.ts";
import { counted } from "./words.ts";

/** Resumes from one picture, even if its job has several. */
export function goOn({ job, index }: Picture, changes: Omit<Resume, "artifact" | "image">): void {
  const image = job.images[index];
  if (!image) return;
  const isOneOfSeveral = job.images.filter(({ artifact }) => artifact === image.artifact).length > 1;
  order({
    resume: { artifact: image.artifact, image: isOneOfSeveral ? image.image : undefined, ...changes },
  });
}

/** Buttons for a picture. They are shown before it is finished, so that the layout does not shift later. */
export function ActionsView({ picture, status }: ActionsProps): VNode {
  const { job, index } = picture;
  const isReady = status === "completed" && job.images[index] !== undefined;
  const isLost = status === "failed" || status === "cancelled";
  const count = job.images.length;
  const name = fileName(picture);
  const [first] = compared.value;
  const isFirst = first?.job.id === job.id && first.index === index;
  const onDelete = (): void => {
    const what = count > 1 ? `these ${count} pictures` : "this picture";
    if (confirm(`Remove ${what} from the history?`)) remove(job);
  };
  return html`
    <div class="buttons">
      ${isLost
        ? html`
          <button type="button" class="button" id="retry" disabled=${isOrdering.value}
            onClick=${() => retry(job)}>Retry</button>
        `
        : html`<${DownloadLink} picture=${picture} isReady=${isReady} name=${name} />`}
      ${isReady && count > 1 && html`
        <button type="button" class="button" id="download-all"
          onClick=${() => downloadAll([job], name.replace(/\.png$/, ""))}>Download all ${count}</button>
      `}
      <button type="button" class="button" id="reuse" onClick=${() =>
        reuse(picture)}>Use these settings</button>
      ${!isLost && html`
        <button type="button" class="button" id="use-as-source" disabled=${!isReady}
          onClick=${() => beginFromPicture(picture)}>Start from this picture</button>
        <button type="button" class="button" id="other-seed" disabled=${!isReady || isOrdering.value}
          onClick=${() => goOn(picture, { seeds: [randomSeed()] })}>Same settings, new seed</button>
        <button type="button" class="button" id="compare" aria-pressed=${isFirst} disabled=${!isReady}
          onClick=${() => compared.value = isFirst ? [] : [picture]}>Compare with…</button>
        <button type="button" class="button" id="star" aria-pressed=${job.starred} disabled=${!isReady}
          onClick=${() => star(job)}>${job.starred ? "Starred" : "Star"}</button>
        <button type="button" class="button" id="delete" disabled=${!isReady} onClick=${onDelete}>
          ${count > 1 ? `Delete ${counted(count, "picture")}` : "Delete"}
        </button>
      `}
    </div>
  ` as VNode;
}

/** Properties of {@linkcode ActionsView}. */
interface ActionsProps {
  readonly picture: Picture;
  readonly status: Job["status"];
}

function DownloadLink(
  { picture: { job, index }, isReady, name }: {
    readonly picture: Picture;
    readonly isReady: boolean;
    readonly name: string;
  },
): VNode {
  const image = job.images[index];
  if (!isReady || !image) {
    return html`<button type="button" class="button" disabled>Download PNG</button>` as VNode;
  }
  return html`
    <a class="button" id="download" href=${pictureUrl(image, {
      download: name,
    })} download=${name}>Download PNG</a>
  ` as VNode;
}
