// This module is browser compatible.

import type { Models } from "./models.ts";

/**
 * Models whose every opening is stopped by a signal, and with it what is fetched afterwards of what was opened.
 *
 * @param models Opens checkpoints.
 * @param signal Stops what names no signal of its own.
 * @returns The same models.
 */
export function modelsWithSignal(models: Models, signal: AbortSignal): Models {
  return {
    open: (reference, own = signal) => models.open(reference, own),
    component: (reference, name, own = signal) => models.component(reference, name, own),
    ...("quantized" in models && models.quantized ? { quantized: models.quantized.bind(models) } : {}),
  };
}
