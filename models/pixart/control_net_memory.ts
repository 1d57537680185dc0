// This module is browser compatible.

import { FLOAT32_BYTES, type MemoryChoice, weightBytes } from "../memory.ts";
import type { PixArtControlNet } from "./control_net.ts";
import type { TransformerTokens } from "./memory.ts";

/** Number of additional row sets per prediction: the state of the ControlNet. */
const ROWS = 1;
/**
 * Maximum number of predictions that pass through a block in turn: both guidance branches, and one with
 * perturbed attention.
 */
const PREDICTIONS = 3;

/**
 * Adds the memory of a ControlNet to each way to denoise: its weights for as long as the transformer's own
 * are in memory, its state for each prediction of a step, and its keys and values of the texts.
 *
 * @param choices The ways to denoise without the ControlNet.
 * @param control The ControlNet.
 * @param tokens Token counts of the picture and the texts.
 * @param width Number of channels of a row.
 * @returns The ways to denoise with the ControlNet.
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
    // When streaming, a block of the ControlNet replaces a transformer block of about the same size.
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
