// This module is browser compatible.

/**
 * How many halves of guidance are predicted at once: both on a GPU, which one alone does not fill; one after the other on
 * a CPU, which is as fast and holds one half's activations.
 *
 * @param device Where the stage runs.
 * @param guided Whether there are two halves.
 */
export function guidanceHalves(device: string, guided: boolean): 1 | 2 {
  return guided && device !== "cpu" ? 2 : 1;
}
