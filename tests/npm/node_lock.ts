/**
 * File locks held by Node processes.
 *
 * @module
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** Waiting processes check the lock ten times per second. */
const WAITS_MS = 1000;

/** Acquires a lock in a Node process, which releases it by ending. */
export async function holdInNode(
  folder: string,
  env: Record<string, string | undefined>,
  path: string,
): Promise<Disposable> {
  const module = join(folder, "node_modules/@pixstage/pixstage/dist/disk/file_lock.js");
  const program = `
    import { lockFile } from ${JSON.stringify(module)};
    globalThis.lock = await lockFile(${JSON.stringify(path)});
    console.log("locked");
    setInterval(() => {}, 1000);`;
  const node = spawn("node", ["--input-type=module", "--eval", program], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(node.stdout, "data");
  return { [Symbol.dispose]: () => void node.kill("SIGKILL") };
}

/** Asserts that a second process waits until the first releases the lock. */
export async function holdsOff(
  first: () => Promise<Disposable>,
  second: () => Promise<Disposable>,
): Promise<void> {
  const held = await first();
  let hasSecond = false;
  const waiting = second().then((lock) => (hasSecond = true, lock));
  await delay(WAITS_MS);
  assert.equal(hasSecond, false);
  held[Symbol.dispose]();
  using _lock = await waiting;
}
