// This module is browser compatible.

/** Tokens of a picture that fill a GPU by themselves: beyond them a second half costs memory and saves no time. */
const FILLING_TOKENS = 2048;

/**
 * How many halves of guidance are predicted at once: both on a GPU where one alone does not fill it, as measured in
 * docs/devices.md; one after the other on a CPU, which is as fast and holds one half's activations.
 *
 * @param device Where the stage runs.
 * @param guided Whether there are two halves.
 * @param tokens Tokens of the picture.
 */
export function guidanceHalves(device: string, guided: boolean, tokens: number): 1 | 2 {
  return guided && device !== "cpu" && tokens <= FILLING_TOKENS ? 2 : 1;
}
