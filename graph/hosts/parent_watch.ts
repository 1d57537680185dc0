/**
 * The module of a worker that ends its process when the parent process has ended. It needs its own thread
 * because a stage blocks the process's main thread for the length of a step.
 *
 * @module
 */

import process from "node:process";

const EVERY_MS = 250;

/** What a worker's global object offers here. */
const self = globalThis as unknown as {
  onmessage: (event: { data: { parent?: number; temporaryFolder?: string } }) => void;
};

let temporaryFolder: string | undefined;

self.onmessage = ({ data }) => {
  temporaryFolder = data.temporaryFolder ?? temporaryFolder;
  const { parent } = data;
  if (parent === undefined) return;
  setInterval(() => {
    if (process.ppid === parent) return;
    if (temporaryFolder !== undefined) removeFolder(temporaryFolder);
    process.kill(process.pid, "SIGKILL");
  }, EVERY_MS);
};

function removeFolder(folder: string): void {
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch {
    // The parent has already removed it.
  }
}
