// This module is browser compatible.

import { FLOAT32_BYTES, type MemoryChoice, weightBytes } from "../memory.ts";
import type { PixArtControlNet } from "./control_net.ts";
import type { TransformerTokens } from "./memory.ts";

/** Rows that a prediction holds beside its own: the state of the ControlNet. */
const ROWS = 1;
/** Predictions that go through a block one after the other: both branches of guidance, and one with perturbed attention. */
const PREDICTIONS = 3;

/**
 * Adds what a ControlNet takes to the ways to denoise: its weights as long as the transformer's own are held, its state
 * for each prediction of a step, and its keys and values of the texts.
 *
 * @param choices The ways to denoise without it.
 * @param control The ControlNet.
 * @param tokens Tokens of the picture and of the texts.
 * @param width Channels of a row.
 * @returns The ways to denoise with it.
 */
export function withControlNet(
  choices: readonly MemoryChoice[],
  { blocks, weights }: PixArtControlNet,
  tokens: TransformerTokens,
  width: number,
): MemoryChoice[] {
  const stored = weightBytes(weights);
  const values = weights.names.reduce(
    (sum, name) => sum + weights.locate(name).shape.reduce((product, size) => product * size, 1),
    0,
  );
  const state = FLOAT32_BYTES * width * (PREDICTIONS * ROWS * tokens.picture + 2 * blocks * tokens.text);
  return choices.map((choice) => {
    // A block of it is opened in the place of one of the transformer, which is about as large.
    const held = choice.residency === "stream" ? 0 : FLOAT32_BYTES * values;
    const kept = choice.residency === "resident" ? held : 0;
    return {
      ...choice,
      weightBytes: choice.weightBytes + stored,
      peakBytes: choice.peakBytes + held + state,
      heldBytes: choice.heldBytes + kept,
      ...(choice.gpuPeakBytes === undefined ? {} : { gpuPeakBytes: choice.gpuPeakBytes + held + state }),
      ...(choice.heldGpuBytes === undefined ? {} : { heldGpuBytes: choice.heldGpuBytes + kept }),
    };
  });
}
