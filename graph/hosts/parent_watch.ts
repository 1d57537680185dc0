/**
 * The module of a worker that ends its process when the parent process has ended. It needs its own thread
 * because a stage blocks the process's main thread for the length of a step. It receives the id of the
 * parent, and the path of each temporary folder to delete with the process.
 *
 * @module
 */

import { rmSync } from "node:fs";
import process from "node:process";
import { killThisProcess } from "../../system/kernel.ts";
import { listenInWorker } from "../../system/worker.ts";

const EVERY_MS = 250;

let temporaryFolder: string | undefined;

listenInWorker((message) => {
  if (typeof message === "string") temporaryFolder = message;
  if (typeof message !== "number") return;
  setInterval(() => {
    if (process.ppid === message) return;
    if (temporaryFolder !== undefined) rmSync(temporaryFolder, { recursive: true, force: true });
    killThisProcess();
  }, EVERY_MS);
});
