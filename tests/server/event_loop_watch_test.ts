import assert from "node:assert/strict";
import { EventLoopWatch } from "../../server/event_loop_watch.ts";

Deno.test("the longest delay of the event loop is reported once, with its share of processor time", async () => {
  const seen: number[] = [];
  const watch = new EventLoopWatch((seconds) => seen.push(seconds));
  try {
    await new Promise((resolve) => setTimeout(resolve, 50));
    watch.take();
    const until = performance.now() + 200;
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { longest, busiest } = watch.take();
    assert(longest > 0.15 && Math.max(...seen) === longest, `${longest} s`);
    // Other processes may have used the processor for a part of it.
    if (Deno.build.os === "linux") {
      assert(busiest > 0.02 && busiest <= longest, `${busiest} s of ${longest} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert(watch.take().longest < longest);
  } finally {
    watch.close();
  }
});
