/**
 * The module of a worker that ends its process when the parent process is gone. It has a thread of its own, as a stage
 * blocks the process's first thread for as long as a step takes. It is sent the id of the parent, and the path of each
 * temporary folder that is to go with the process.
 *
 * @module
 */

import { rmSync } from "node:fs";
import process from "node:process";
import { listenInWorker } from "../../runtime/worker.ts";

const EVERY_MS = 250;

let temporaryFolder: string | undefined;

listenInWorker((message) => {
  if (typeof message === "string") temporaryFolder = message;
  if (typeof message !== "number") return;
  setInterval(() => {
    if (process.ppid === message) return;
    if (temporaryFolder !== undefined) rmSync(temporaryFolder, { recursive: true, force: true });
    process.kill(process.pid, "SIGKILL");
  }, EVERY_MS);
});
