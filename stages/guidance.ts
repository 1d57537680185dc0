// This module is browser compatible.

/**
 * Classifier-free guidance (Ho and Salimans 2022, https://arxiv.org/abs/2207.12598), in float32 and in the order of
 * operations of diffusers: `negative + scale * (positive - negative)`.
 *
 * @param negative What the model predicts for the negative prompt.
 * @param positive What it predicts for the prompt; of the same length.
 * @param scale How far the prompt pulls; 1 gives `positive`, up to rounding.
 * @returns The guided prediction, a new array.
 */
export function guide(negative: Float32Array, positive: Float32Array, scale: number): Float32Array {
  const guided = new Float32Array(positive.length);
  const factor = Math.fround(scale);
  for (let index = 0; index < guided.length; index++) {
    const away = Math.fround(positive[index]! - negative[index]!);
    guided[index] = negative[index]! + Math.fround(factor * away);
  }
  return guided;
}
