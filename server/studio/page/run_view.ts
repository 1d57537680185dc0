/// <reference lib="dom" />
/**
 * The run that is shown: pictures as they come about, progress, memory, and what to do with what was made.
 *
 * @module
 */

import { useState } from "preact/hooks";
import type { VNode } from "preact";
import { Slider } from "./form_view.ts";
import { GraphView, seconds } from "./graph_view.ts";
import { html } from "./html.ts";
import { forgetPreview, order, randomSeed, reuse } from "./run.ts";
import { compared, form, isBusy, offered, type Run, run } from "./state.ts";
import type { Graph, Job, Resume } from "./types.ts";

/** The run that is shown, or a word of welcome. */
export function RunView(): VNode {
  const shown = run.value;
  if (!shown) {
    return html`
      <section class="panel welcome">
        <div class="frame" aria-hidden="true"></div>
        <p>Write a prompt and press <strong>Generate</strong>. The picture comes about here, step by step.</p>
      </section>
    ` as VNode;
  }
  return html`
    <section class="panel run" aria-label="Picture">
      <${Pictures} run=${shown} />
      <${Progress} run=${shown} />
      <${GraphView} run=${shown} />
      ${shown.warnings.map((text) => html`<p class="note warning">${text}</p>`)}
      ${shown.message && html`<p class="note fault" role="alert">${shown.message}</p>`}
      ${shown.status === "completed" && shown.job.images.length > 0 &&
        html`<${Next} key=${shown.job.id} job=${shown.job} />`}
    </section>
  ` as VNode;
}

/** Pictures that are done, or what they have come to. */
function Pictures({ run: { job, previews, status } }: { readonly run: Run }): VNode {
  const request = (job.request ?? {}) as { width?: number; height?: number; imagesPerPrompt?: number };
  const count = Math.max(job.images.length, request.imagesPerPrompt ?? 1);
  const ratio = job.images[0]
    ? job.images[0].width / job.images[0].height
    : (request.width ?? 1) / (request.height ?? 1);
  const prompt = promptOf(job);
  const tiles = Array.from({ length: count }, (_, index) => {
    const image = job.images[index];
    const preview = previews[index];
    const which = count > 1 ? ` (${index + 1} of ${count})` : "";
    const shown = image && html`
      <img key=${image.url} class="picture" src=${image.url} alt=${`Picture: ${prompt}${which}`}
        width=${image.width} height=${image.height} onLoad=${() => forgetPreview(job.id, index)} />
    `;
    if (preview) {
      // Until the picture is there, what it comes from stays behind it.
      const blur = (1 - preview.share) * 10 + 2;
      return html`
        <img class="picture preview" src=${`data:image/png;base64,${preview.png}`}
          style=${`filter: blur(${blur}px)`} alt=${`Preview: ${prompt}${which}`} aria-hidden=${image
            ? "true"
            : undefined} />
        ${shown}
      `;
    }
    if (shown) return shown;
    return html`<div class=${`picture empty ${status}`} role="img" aria-label=${`No picture yet: ${status}`}></div>`;
  });
  return html`<div class="pictures" data-count=${count} style=${`--ratio: ${ratio}`}>
    ${tiles.map((tile) => html`<div class="tile">${tile}</div>`)}
  </div>` as VNode;
}

/** How far the run is, and how much memory it takes. */
function Progress({ run: { status, nodes, memory, elapsedMs, job } }: { readonly run: Run }): VNode {
  const current = Object.entries(nodes).find(([, state]) => state.status === "running");
  const [, state] = current ?? [];
  const share = status === "completed" ? 1 : state?.steps ? state.step! / state.steps : 0;
  const text = status === "queued"
    ? job.queue_position ? `${job.queue_position} before this one` : "next in turn"
    : status === "running"
    ? current ? `${current[0]}${state?.steps ? `: step ${state.step} of ${state.steps}` : ""}` : "starting"
    : `${status} in ${seconds(elapsedMs)}`;
  const largest = Math.max(memory?.peak ?? 0, 1);
  return html`
    <div class="progress">
      <div class=${`meter ${status}`}>
        <span id="status" role="status">${text}</span>
        <div class="bar" role="progressbar" aria-label="Steps" aria-valuenow=${Math.round(share * 100)}
          aria-valuemin="0" aria-valuemax="100"><i style=${`width: ${share * 100}%`}></i></div>
      </div>
      <div class="meter memory">
        <span>${memory
          ? `${megabytes(memory.now)} in memory, peak ${megabytes(memory.peak)}`
          : "memory"}</span>
        <div class="bar" role="meter" aria-label="Memory" aria-valuenow=${memory
          ? Math.round(memory.now / 1e6)
          : 0}
          aria-valuemin="0" aria-valuemax=${Math.round(largest / 1e6)}>
          <i style=${`width: ${memory ? (memory.now / largest) * 100 : 0}%`}></i>
        </div>
      </div>
    </div>
  ` as VNode;
}

/** What can be done with a finished job. */
function Next({ job }: { readonly job: Job }): VNode {
  const [step, setStep] = useState(0);
  const [image] = job.images;
  const steps = stepsOf(job);
  const resume = (changes: Omit<Resume, "artifact">): void => {
    order({ resume: { artifact: image!.artifact, ...changes } });
  };
  const seed = image?.seed ?? "0";
  const words = [...promptOf(job).replaceAll(/[^\p{L}\p{M}\p{N}]+/gu, "-")].slice(0, 40).join("");
  const name = `${words || "picture"}-${seed}.png`;
  const decoders = offered.value.decoders;
  const at = step || Math.max(1, Math.floor(steps / 2));
  const turn = (): void => {
    const { prompt, negativePrompt: negative, guidance } = form.value;
    const isOther = prompt.trim() !== "" && prompt !== promptOf(job);
    resume({
      fromStep: at,
      guidanceScale: guidance,
      ...(isOther ? { prompts: [prompt] } : {}),
      ...(isOther && negative !== "" ? { negativePrompt: negative } : {}),
    });
  };
  return html`
    <div class="next">
      <div class="buttons">
        <a class="button" id="download" href=${`${image!.url}?download=${
          encodeURIComponent(name)
        }`} download=${name}>Download PNG</a>
        <button type="button" class="button" onClick=${() => reuse(job)} disabled=${!job
          .request}>Use these settings</button>
        <button type="button" class="button" id="other-seed" disabled=${isBusy.value}
          onClick=${() => resume({ seeds: [randomSeed()] })}>Same text, another seed</button>
        <button type="button" class="button" id="compare" aria-pressed=${compared.value[0]?.id === job.id}
          onClick=${() =>
            compared.value = compared.value[0]?.id === job.id ? [] : [job]}>Compare with…</button>
      </div>
      ${decoders.length > 1 && html`
        <label class="inline">
          <span>Decode the same latents with</span>
          <select id="decoder" disabled=${isBusy.value} onChange=${(event: Event) => {
            const { value } = event.currentTarget as HTMLSelectElement;
            if (value) resume({ vae: value });
          }}>
            <option value="">choose a decoder</option>
            ${decoders.map((id) => html`<option value=${id}>${id}</option>`)}
          </select>
        </label>
      `}
      ${steps > 1 && html`
        <details class="advanced">
          <summary>Go on from a step of it</summary>
          <p
            class="hint">Takes the first steps as they were, the others with the prompts and the guidance of the form.</p>
          <div class="turn">
            <${Slider} id="turn-step" label="From step" min=${1} max=${steps - 1} step=${1}
              value=${at} onValue=${setStep} />
            <button type="button" class="button" id="turn" disabled=${isBusy
              .value} onClick=${turn}>Go on</button>
          </div>
        </details>
      `}
      <details class="advanced artifacts">
        <summary>Artifacts</summary>
        <ul>
          ${Object.entries(job.artifacts).map(([output, { id, kind }]) =>
            html`
              <li><a href=${`v1/artifacts/${id}`} download=${`${output}.safetensors`}>${output}</a>
                <span>${kind}</span><code title=${id}>${id.slice(0, 12)}…</code></li>
            `
          )}
        </ul>
      </details>
    </div>
  ` as VNode;
}

/** Denoising steps of a job, as far as its graph tells. */
function stepsOf(job: Job): number {
  const { nodes } = job.graph as unknown as Graph;
  const denoise = Object.values(nodes).findLast(({ stage }) => stage === "denoise");
  const steps = denoise?.parameters?.["steps"];
  return typeof steps === "number" ? steps : 0;
}

/** The prompt of a job, wherever it stands. */
export function promptOf(job: Job): string {
  const { prompts } = (job.request ?? {}) as { prompts?: string[] };
  if (prompts?.[0]) return prompts[0];
  const graph = job.graph as { nodes?: Record<string, { parameters?: { prompts?: string[] } }> };
  return Object.values(graph.nodes ?? {}).find(({ parameters }) => parameters?.prompts?.[0])?.parameters
    ?.prompts?.[0] ??
    "a picture";
}

function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
