import assert from "node:assert/strict";
import process from "node:process";
import { setImmediate } from "node:timers";
import { letEventsThrough } from "../../runtime/waiting_events.ts";

const MOST_COMPUTATIONS = 20;

/** Occupies the thread for 0.1 s, as a run of onnxruntime-node does. */
function compute(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(() => {
    const start = performance.now();
    while (performance.now() - start < 100);
    resolve();
  });
  return promise;
}

Deno.test("letEventsThrough() lets a signal through while one computation follows the other", async () => {
  let received = false;
  const listener = () => received = true;
  process.on("SIGUSR2", listener);
  try {
    for (let computations = 0; computations < 4; computations++) await compute();
    process.kill(process.pid, "SIGUSR2");
    let computations = 0;
    for (; !received && computations < MOST_COMPUTATIONS; computations++) {
      await compute();
      await letEventsThrough();
    }
    assert(computations <= 4, `the signal was received after ${computations} computations`);
  } finally {
    process.off("SIGUSR2", listener);
  }
});
