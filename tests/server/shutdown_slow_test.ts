import assert from "node:assert/strict";
import { serving, sseEvents } from "./serving.ts";

const STEPS = { steps: 150, guidanceScale: 1, width: 256, height: 256 };

Deno.test("a stream that the server ends gets an error event, and its job does not run after a restart", async () => {
  const store = await Deno.makeTempDir({ prefix: "pixstage-server-" });
  try {
    const seen: string[][] = [];
    {
      await using server = await serving({ store });
      const picture = { model: "tiny", prompt: "cat", size: "256x256", steps: 150, stream: true };
      const encode = { parameters: { model: "tiny", prompts: ["cat"] } };
      const encoded = await server.post("/v1/stages/encode", encode);
      const { outputs: { embeddings } } = await encoded.json();
      const denoise = {
        parameters: { model: "tiny", resolutionBinning: false, ...STEPS },
        inputs: { embeddings },
      };
      const streams = [
        await server.post("/v1/images/generations", picture),
        await server.post("/v1/stages/denoise", denoise, { accept: "text/event-stream" }),
      ];
      for (const [index, stream] of streams.entries()) {
        assert.equal(stream.status, 200);
        const events: string[] = seen[index] = [];
        (async () => {
          for await (const { event, data } of sseEvents(stream)) {
            events.push(event === "error" ? `error ${JSON.parse(data).error.code}` : event);
          }
        })();
      }
      for (let running = 0; running < 1;) {
        const { data } = await (await server.ask("/v1/jobs?status=running")).json();
        running = data.length;
      }
    }
    for (const events of seen) assert.equal(events.at(-1), "error interrupted");
    await using server = await serving({ store });
    const { data } = await (await server.ask("/v1/jobs")).json();
    const statuses = data.map(({ status }: { status: string }) => status);
    assert.deepEqual(statuses, ["cancelled", "cancelled", "completed"]);
  } finally {
    await Deno.remove(store, { recursive: true });
  }
});
