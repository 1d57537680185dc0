// This module is browser compatible.

import type { Checkpoint } from "./checkpoint/checkpoint.ts";
import type { Component } from "./checkpoint/component.ts";
import type { Models } from "./models.ts";

/**
 * Wraps models for one run so that each checkpoint is opened once, as are its components and the headers of
 * their weights.
 *
 * @param models Opens checkpoints.
 * @param signal Signal that aborts every opening, including downloads that an opened checkpoint starts later.
 * @returns The same models, memoized.
 */
export function modelsOfRun(models: Models, signal: AbortSignal): Models {
  const once = remembered();
  let reading: Models | undefined;
  return {
    open: (reference) =>
      once(["open", reference], async () => checkpointOfRun(await models.open(reference, signal))),
    component: (reference, name) =>
      once(
        ["component", reference, name],
        async () => componentOfRun(await models.component(reference, name, signal)),
      ),
    ...(models.adapter
      ? { adapter: (name) => once(["adapter", name], () => models.adapter!(name, signal)) }
      : {}),
    ...(models.needsDownload ? { needsDownload: models.needsDownload.bind(models) } : {}),
    ...(models.withoutDownloads
      ? { withoutDownloads: () => reading ??= modelsOfRun(models.withoutDownloads!(), signal) }
      : {}),
    ...(models.quantized ? { quantized: models.quantized.bind(models) } : {}),
  };
}

function checkpointOfRun(checkpoint: Checkpoint): Checkpoint {
  const once = remembered();
  return {
    ...checkpoint,
    component: (name) =>
      once(["component", name], async () => componentOfRun(await checkpoint.component(name))),
    scheduler: () => once(["scheduler"], () => checkpoint.scheduler()),
    tokenizer: () => once(["tokenizer"], () => checkpoint.tokenizer()),
  };
}

function componentOfRun(component: Component): Component {
  const once = remembered();
  return {
    ...component,
    weightFiles: () => once(["weightFiles"], () => component.weightFiles()),
    weights: () => once(["weights"], () => component.weights()),
  };
}

/** Memoizes work by key. Failures are not kept: a download may succeed later, once the server is up again. */
function remembered(): <T>(key: readonly unknown[], work: () => Promise<T>) => Promise<T> {
  const done = new Map<string, Promise<unknown>>();
  return <T>(key: readonly unknown[], work: () => Promise<T>): Promise<T> => {
    const name = JSON.stringify(key);
    const known = (done.get(name) ?? work()) as Promise<T>;
    done.set(name, known);
    known.catch(() => done.delete(name));
    return known;
  };
}
