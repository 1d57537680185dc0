/// <reference lib="dom" />
/**
 * The queue of running and waiting jobs, and the list of failed and cancelled ones.
 *
 * @module
 */

import type { VNode } from "preact";
import { remove, retry } from "./history.ts";
import { html } from "./html.ts";
import { Icon } from "./icons.ts";
import { cancel, show } from "./run.ts";
import { isOrdering, queue, queuedJobs, run, stopped } from "./state.ts";
import type { Job, QueueReply } from "./types.ts";
import { promptOf } from "./words.ts";

/** The running and waiting jobs. */
export function QueueView(): VNode {
  const jobs = queue.value;
  return html`
    <section class="panel queue" aria-label="Queue">
      <h2>Queue ${jobs.length > 0 && html`<small>${jobs.length}</small>`}</h2>
      ${jobs.length === 0
        ? html`<p class="hint">No job is running or waiting.</p>`
        : html`<ul>${jobs.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} />`)}</ul>`}
    </section>
  ` as VNode;
}

function Entry({ entry }: { readonly entry: QueueReply["jobs"][number] }): VNode {
  const { id, status, progress, queue_position: before } = entry;
  const job = queuedJobs.value.get(id);
  const title = job ? promptOf(job) : "…";
  const share = progress ? progress.step / progress.steps : 0;
  const text = status === "queued"
    ? before ? `${before} ahead` : "next in line"
    : progress
    ? `${progress.node}: ${Math.round(share * 100)} %`
    : "starting";
  return html`
    <li class=${`entry ${status}`} data-queued=${id}>
      <button type="button" class="title" title=${title} disabled=${!job}
        aria-current=${run.value?.job.id === id ? "true" : undefined} onClick=${() => job && show(job)}>
        <span>${title}</span><small>${text}</small>
      </button>
      <button type="button" class="icon" title="Cancel" aria-label=${`Cancel: ${title}`}
        onClick=${() => cancel(id)}><${Icon} name="close" /></button>
      <div class="bar" role="progressbar" aria-label=${`Progress: ${title}`} aria-valuemin="0"
        aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}><i style=${`width: ${
          share * 100
        }%`}></i></div>
    </li>
  ` as VNode;
}

/** Failed and cancelled jobs, with the reason. */
export function StoppedView(): VNode | null {
  const jobs = stopped.value;
  if (jobs.length === 0) return null;
  return html`
    <details class="panel stopped">
      <summary>
        <h2>Failed and cancelled <small>${jobs.length}</small></h2>
      </summary>
      <ul>${jobs.map((job) => html`<${Stopped} key=${job.id} job=${job} />`)}</ul>
    </details>
  ` as VNode;
}

function Stopped({ job }: { readonly job: Job }): VNode {
  const title = promptOf(job);
  const reason = job.status === "cancelled" ? "Cancelled" : job.error?.message ?? "Failed";
  return html`
    <li class=${`entry ${job.status}`} data-stopped=${job.id}>
      <button type="button" class="title" title=${title} onClick=${() => show(job)}>
        <span>${title}</span><small class="reason">${reason}</small>
      </button>
      <button type="button" class="icon" title="Retry" aria-label=${`Retry: ${title}`}
        disabled=${isOrdering.value} onClick=${() => retry(job)}><${Icon} name="retry" /></button>
      <button type="button" class="icon" title="Remove" aria-label=${`Remove: ${title}`}
        onClick=${() => remove(job)}><${Icon} name="trash" /></button>
    </li>
  ` as VNode;
}
