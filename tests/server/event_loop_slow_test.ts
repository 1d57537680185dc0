import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { inFolder } from "../cli/run_cli.ts";
import { type Document, requestOf } from "./random_requests.ts";
import { ServerProcess } from "./server_process.ts";

const REQUESTS = 3000;
const AT_ONCE = 4;

/** Longest time in seconds that a request may block the event loop. */
const LONGEST = 0.05;

/** Returns the metrics of the event loop since the last scrape. */
async function delays(url: string): Promise<{ longest: number; busiest: number }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const figure = (name: string): number =>
    Number(new RegExp(`^pixstage_event_loop_${name}_max_seconds (\\S+)`, "m").exec(text)?.[1]);
  return { longest: figure("lag"), busiest: figure("busy") };
}

Deno.test({
  name: "no request, however odd or large, blocks the event loop for others",
  // Other systems cannot distinguish the server's processor time from that of other processes.
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inFolder(async (store) => {
      await using server = await new ServerProcess({ store }).listens();
      const { url } = server;
      const document: Document = await (await fetch(`${url}/openapi.json`)).json();
      const requests = fc.oneof(
        ...Object.entries(document.paths).flatMap(([path, methods]) =>
          Object.entries(methods).map(([method, operation]) =>
            requestOf(url, path, method, operation, document)
          )
        ),
      );
      await delays(url);
      const seed = Date.now() % 2 ** 31;
      const drawn = fc.sample(requests, { seed, numRuns: REQUESTS });
      const send = async (): Promise<void> => {
        for (let request = drawn.pop(); request; request = drawn.pop()) {
          // A picture may wait for others. Only the check of the request matters here.
          const reply = await fetch(request, { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
          await reply?.body?.cancel().catch(() => {});
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, send));
      const { longest, busiest } = await delays(url);
      assert(busiest > 0 && busiest <= LONGEST, `seed ${seed}: ${busiest} s of ${longest} s`);
    }),
});
