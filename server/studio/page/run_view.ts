/// <reference lib="dom" />
/**
 * The shown run: its pictures, its progress, and actions for its results.
 *
 * @module
 */

import { useEffect } from "preact/hooks";
import type { VNode } from "preact";
import { ActionsView } from "./actions_view.ts";
import { GoOnView } from "./go_on_view.ts";
import { GraphView } from "./graph_view.ts";
import { html } from "./html.ts";
import { PicturesView } from "./pictures_view.ts";
import { ProgressView } from "./progress_view.ts";
import { SettingsView } from "./settings_view.ts";
import { urlOf } from "./server.ts";
import { chosenImage, run } from "./state.ts";
import type { Job } from "./types.ts";

/** The shown run, or a welcome message. */
export function RunView(): VNode {
  const shown = run.value;
  const id = shown?.job.id;
  useEffect(() => bringIntoView(), [id]);
  if (!shown) {
    return html`
      <section class="panel welcome">
        <div class="frame" aria-hidden="true"></div>
        <p>Write a prompt and press <strong>Generate</strong>. The picture appears here, step by step.</p>
        <p
          class="hint">Or drop a picture on the page to start from it or to restore its settings.</p>
      </section>
    ` as VNode;
  }
  const { job, status, warnings, message } = shown;
  const picture = { job, index: Math.min(chosenImage.value, Math.max(job.images.length - 1, 0)) };
  const isDone = status === "completed" && job.images.length > 0;
  return html`
    <section class="panel run" aria-label="Picture">
      <div class="shown">
        <div class="stage">
          <${PicturesView} run=${shown} />
          <${ProgressView} run=${shown} />
          ${message && html`<p class="note fault" role="alert">${message}</p>`}
          ${warnings.map((text) => html`<p key=${text} class="note warning" role="status">${text}</p>`)}
        </div>
        <div class="beside">
          <${ActionsView} picture=${picture} status=${status} />
          <${SettingsView} picture=${picture} />
        </div>
      </div>
      <${GraphView} run=${shown} />
      ${isDone && html`
        <div class="next">
          <${GoOnView} key=${job.id} picture=${picture} />
          <${ArtifactsView} job=${job} />
        </div>
      `}
    </section>
  ` as VNode;
}

/** Scrolls to the pictures if they are out of sight. On a phone, the form is below them. */
function bringIntoView(): void {
  const top = document.querySelector(".pictures")?.getBoundingClientRect().top;
  if (top === undefined || (top >= 0 && top < innerHeight / 2)) return;
  document.querySelector(".stage")?.scrollIntoView({ block: "start" });
}

/** The artifacts that a job made. */
function ArtifactsView({ job }: { readonly job: Job }): VNode {
  return html`
    <details class="advanced artifacts">
      <summary>Artifacts</summary>
      <ul>
        ${Object.entries(job.artifacts).map(([output, { id, kind }]) =>
          html`
            <li><a href=${urlOf(`v1/artifacts/${id}`)} download=${`${output}.safetensors`}>${output}</a>
              <span>${kind}</span><code title=${id}>${id.slice(0, 12)}…</code></li>
          `
        )}
      </ul>
    </details>
  ` as VNode;
}
