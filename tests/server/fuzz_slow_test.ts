import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { createServer } from "../../server/create_server.ts";
import { builtInStages } from "../../stages/mod.ts";
import { goldenPath } from "../goldens.ts";
import { HastyEngine } from "./hasty_engine.ts";
import { answerText, type Document, requestOf } from "./random_requests.ts";
import { MODELS } from "./serving.ts";

Deno.test("no request, however odd, causes a server fault or a stack trace", async () => {
  const store = await Deno.makeTempDir();
  const faults: unknown[] = [];
  const models = [...MODELS, { name: "tiny-taesd", reference: goldenPath("checkpoints/tiny-taesd") }];
  const server = await createServer({
    store,
    models,
    engine: new HastyEngine({ registry: builtInStages(), models, store }),
    limits: { keptJobs: 20 },
    log: (event, fields) => event === "fault" && faults.push(fields),
  });
  try {
    const document: Document = await (await server.fetch(new Request("http://localhost/openapi.json")))
      .json();
    const statuses = new Map<string, number>();
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        await fc.assert(
          fc.asyncProperty(
            requestOf("http://localhost", path, method, operation, document),
            async (request) => {
              const reply = await server.fetch(request);
              const key = `${method} ${path} ${reply.status}`;
              statuses.set(key, (statuses.get(key) ?? 0) + 1);
              const text = await answerText(request, reply);
              assert(reply.status < 500, `${key}: ${text} ${JSON.stringify(faults.at(-1))}`);
              assert(!/\bat .+:\d+:\d+|file:\/\/|node_modules/.test(text), `${key}: ${text}`);
              if (reply.status < 400) return;
              if (reply.status === 416) return;
              const { error } = JSON.parse(text);
              assert.equal(typeof error.message, "string");
              assert.equal(typeof error.type, "string");
              assert.equal(typeof error.code, "string");
              assert(error.param === null || typeof error.param === "string");
            },
          ),
          { numRuns: method === "post" ? 600 : 100 },
        );
      }
    }
    for (
      const wanted of [
        "post /v1/jobs 202",
        "post /v1/jobs 400",
        "post /v1/images/generations 400",
        "post /v1/stages/{name} 400",
      ]
    ) {
      assert(statuses.has(wanted), `${wanted} was never seen: ${JSON.stringify([...statuses])}`);
    }
  } finally {
    await server.close();
    await Deno.remove(store, { recursive: true });
  }
});
