/// <reference lib="dom" />
/**
 * The pictures of a run: finished ones, previews and placeholders.
 *
 * @module
 */

import { useState } from "preact/hooks";
import type { VNode } from "preact";
import { html } from "./html.ts";
import { Icon } from "./icons.ts";
import { forgetPreview } from "./run.ts";
import { pictureUrl } from "./server.ts";
import { settingsOfPicture } from "./settings.ts";
import { chosenImage, compared, type Run, zoomed } from "./state.ts";
import type { Job, JobImage } from "./types.ts";
import { promptOf } from "./words.ts";

/** The pictures of a run. */
export function PicturesView({ run: { job, previews, status } }: { readonly run: Run }): VNode {
  const [first] = job.images;
  const { width = 1, height = 1 } = first ?? settingsOfPicture({ job, index: 0 }) ?? {};
  const count = Math.max(job.images.length, ordered(job), 1);
  const tiles = Array.from({ length: count }, (_, index) => {
    const image = job.images[index];
    const preview = previews[index];
    const which = count > 1 ? ` (${index + 1} of ${count})` : "";
    const name = `${promptOf(job)}${which}`;
    const isChosen = job.images.length > 1 && index === chosenImage.value;
    return html`
      <div key=${`${job.id}-${index}`} class=${`tile ${isChosen ? "chosen" : ""}`}>
        ${preview && html`
          <img class="picture preview" src=${`data:image/png;base64,${preview.png}`} alt=${`Preview: ${name}`}
            style=${`filter: blur(${(1 - preview.share) * 10 + 2}px)`} aria-hidden=${image
              ? "true"
              : undefined} />
        `}
        ${image && html`<${Finished} job=${job} image=${image} index=${index} name=${name} />`}
        ${!image && !preview && html`
          <div class=${`picture empty ${status}`} role="img" aria-label=${`No picture yet: ${status}`}></div>
        `}
      </div>
    `;
  });
  return html`
    <div class="pictures" data-count=${count} style=${`--ratio: ${width / height}`}>${tiles}</div>
    ${job.images.length > 1 && html`
      <div class="choice" role="group" aria-label="Chosen picture">
        ${job.images.map((_, index) =>
          html`
            <button type="button" class="chip" aria-pressed=${index === chosenImage.value}
              aria-label=${`Picture ${index + 1}`} onClick=${() => choose(job, index)}>${index + 1}</button>
          `
        )}
      </div>
    `}
  ` as VNode;
}

/** Properties of a finished picture. */
interface FinishedProps {
  readonly job: Job;
  readonly image: JobImage;
  readonly index: number;
  readonly name: string;
}

function Finished({ job, image, index, name }: FinishedProps): VNode {
  const [isGone, setGone] = useState(false);
  if (isGone) {
    return html`<p class="picture gone">The server no longer has this picture.</p>` as VNode;
  }
  const onClick = (): void => {
    if (!choose(job, index)) zoomed.value = { job, index };
  };
  return html`
    <button type="button" class="open" aria-label=${`Open in full size: ${name}`} onClick=${onClick}>
      <img class="picture" src=${pictureUrl(image)} alt=${`Picture: ${name}`} width=${image.width}
        height=${image.height} onLoad=${() => forgetPreview(job.id, index)} onError=${() => setGone(true)} />
      <span class="corner"><${Icon} name="zoom" /></span>
    </button>
  ` as VNode;
}

/** Selects a picture. Returns whether the click completed a comparison. */
function choose(job: Job, index: number): boolean {
  chosenImage.value = index;
  const [first, second] = compared.value;
  if (!first || second || (first.job.id === job.id && first.index === index)) return false;
  compared.value = [first, { job, index }];
  return true;
}

/** Returns the number of ordered pictures, as far as the job shows it. */
function ordered({ request }: Job): number {
  const { prompts, imagesPerPrompt } = request ?? {};
  const perPrompt = typeof imagesPerPrompt === "number" ? imagesPerPrompt : 1;
  return (Array.isArray(prompts) ? prompts.length : 1) * perPrompt;
}
