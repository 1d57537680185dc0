import assert from "node:assert/strict";
import { type JobSeen, ServerProcess } from "./server_process.ts";
import { sseEvents } from "./serving.ts";

const JOBS = 10;

function request(index: number): object {
  // The first job runs long enough for a snapshot, even on a fast machine.
  const size = index === 0
    ? { width: 768, height: 768, resolutionBinning: false, steps: 150 }
    : { width: 128, height: 128, steps: 8 };
  return { request: { model: "tiny", prompts: [`picture ${index}`], seeds: [index], ...size } };
}

Deno.test(`a server killed during ${JOBS} jobs finishes all of them after its restart, with undisturbed results`, async () => {
  const [store, other] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  const undisturbed = new ServerProcess({ store: other });
  let server = new ServerProcess({ store });
  try {
    await Promise.all([undisturbed.listens(), server.listens()]);
    const jobs: JobSeen[] = [];
    for (let index = 0; index < JOBS; index++) jobs.push(await server.order(request(index)));

    // Kill the server three times: during denoising, after a snapshot, and at any point.
    let isKept = false;
    for await (const { event } of sseEvents(await fetch(`${server.url}/v1/jobs/${jobs[0]!.id}/events`))) {
      if (event === "checkpoint") isKept = true;
      if (isKept && event === "step") break;
    }
    assert(isKept, "the first job was over before a checkpoint was kept");
    for (const delay of [0, 2500, 1200]) {
      await new Promise((resolve) => setTimeout(resolve, delay));
      await server.end("SIGKILL");
      server = new ServerProcess({ store });
      await server.listens();
    }

    const resumed: number[] = [];
    for await (
      const { event, data } of sseEvents(await fetch(`${server.url}/v1/jobs/${jobs[0]!.id}/events`))
    ) {
      if (event === "stage:resumed") resumed.push(JSON.parse(data).step);
    }
    assert(resumed[0]! > 5, `the first job began anew: ${resumed}`);
    for (const [index, { id }] of jobs.entries()) {
      const over = await server.ended(id);
      assert.equal(over.status, "completed", JSON.stringify(over));
      const alone = await undisturbed.ended((await undisturbed.order(request(index))).id);
      assert.equal(
        over.artifacts["decode.image"]!.id,
        alone.artifacts["decode.image"]!.id,
        `picture ${index}`,
      );
    }
  } finally {
    await Promise.all([server.end("SIGTERM"), undisturbed.end("SIGTERM")]);
    for (const folder of [store, other]) await Deno.remove(folder, { recursive: true });
  }
});
