/**
 * The module of a worker that ends its process when the parent process is gone. It has a thread of its own, as a stage
 * blocks the process's first thread for as long as a step takes.
 *
 * @module
 */

import process from "node:process";

const EVERY_MS = 250;

/** What a worker's global object offers here. */
const self = globalThis as unknown as {
  onmessage: (event: { data: { parent: number; temporaryFolder?: string } }) => void;
};

self.onmessage = ({ data: { parent, temporaryFolder } }) => {
  setInterval(() => {
    if (process.ppid === parent) return;
    if (temporaryFolder !== undefined) Deno.removeSync(temporaryFolder, { recursive: true });
    process.kill(process.pid, "SIGKILL");
  }, EVERY_MS);
};
