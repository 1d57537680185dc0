import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { inFolder } from "../cli/run_cli.ts";
import { type Serving, serving, sseEvents } from "./serving.ts";

const SECRET = `whsec_${btoa("0123456789abcdef0123456789abcdef")}`;
const SMALL = {
  model: "tiny",
  prompts: ["cat"],
  width: 64,
  height: 64,
  steps: 2,
  guidanceScale: 1,
  seeds: [3],
};

const payloadSchema = z.strictObject({
  type: z.string(),
  timestamp: z.iso.datetime(),
  data: z.looseObject({
    id: z.string(),
    status: z.string(),
    images: z.array(z.looseObject({ url: z.string() })),
  }),
});

/** A receiver with configurable replies that records its requests. */
class Receiver implements AsyncDisposable {
  readonly got: { path: string; id: string; payload: z.infer<typeof payloadSchema> }[] = [];
  #answers: readonly Response[];
  #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const body = await request.text();
    const header = (name: string) => request.headers.get(name) ?? "";
    const [id, seconds, signature] = ["id", "timestamp", "signature"].map((name) =>
      header(`webhook-${name}`)
    );
    const key = Uint8Array.fromBase64(SECRET.slice("whsec_".length));
    const expected = createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64");
    assert.equal(signature, `v1,${expected}`);
    assert(Math.abs(Number(seconds) - Date.now() / 1000) < 60);
    this.got.push({
      path: new URL(request.url).pathname,
      id: id!,
      payload: payloadSchema.parse(JSON.parse(body)),
    });
    return this.#answers[this.got.length - 1]?.clone() ?? new Response("ok");
  });

  constructor(...answers: Response[]) {
    this.#answers = answers;
  }

  get host(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  get settings() {
    return { allow: [this.host], secret: SECRET, delays: [50, 50, 50] };
  }

  /** Waits until the receiver has the given number of requests. */
  async has(count: number): Promise<void> {
    for (let waited = 0; this.got.length < count; waited += 20) {
      assert(waited < 20_000, `${this.got.length} of ${count} webhooks came`);
      await delay(20);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

async function order(server: Serving, url: string, request: object = SMALL): Promise<string> {
  const reply = await server.post("/v1/jobs", { request, webhook: { url } });
  const { id, error } = await reply.json();
  assert.equal(reply.status, 202, error?.message);
  return id;
}

async function ended(server: Serving, id: string): Promise<void> {
  for await (const { event } of sseEvents(await server.ask(`/v1/jobs/${id}/events`))) void event;
}

Deno.test("a webhook reports the end of a job under one id, repeatedly until the receiver accepts it", async () => {
  const moved = new Response(null, { status: 302, headers: { location: "/elsewhere" } });
  await using receiver = new Receiver(new Response(null, { status: 500 }), moved);
  await using server = await serving({
    webhooks: receiver.settings,
    apiKey: "s3cret",
    limits: { keptJobs: 1 },
  });
  const headers = { authorization: "Bearer s3cret" };
  const reply = await server.post("/v1/jobs", {
    request: SMALL,
    webhook: { url: `http://${receiver.host}/hook` },
  }, headers);
  const { id } = await reply.json();
  await receiver.has(3);
  await delay(300);
  assert.equal(receiver.got.length, 3, "no more webhooks arrive after it was accepted");
  assert.deepEqual(
    receiver.got.map(({ path }) => path),
    ["/hook", "/hook", "/hook"],
    "a redirect is not followed",
  );
  assert.equal(new Set(receiver.got.map(({ id }) => id)).size, 1);
  const { type, data } = receiver.got[2]!.payload;
  assert.deepEqual([type, data.id, data.status, data.images.length], ["job.completed", id, "completed", 1]);
  const picture = await fetch(data.images[0]!.url);
  assert.deepEqual(
    [picture.status, picture.headers.get("content-type")],
    [200, "image/png"],
    "the link is signed",
  );
  await picture.body?.cancel();
});

Deno.test("the next server sends an undelivered webhook, and eventually gives it up", async () => {
  const failing = Array.from({ length: 4 }, () => new Response(null, { status: 503 }));
  await using receiver = new Receiver(...failing);
  await inFolder(async (store) => {
    const events: string[] = [];
    const log = (event: string) => void (event.startsWith("webhook") && events.push(event));
    let id: string;
    {
      await using server = await serving({ store, webhooks: { ...receiver.settings, delays: [60_000] } });
      id = await order(server, `http://${receiver.host}/first`);
      await ended(server, id);
      await receiver.has(1);
    }
    {
      // Time passes while the server is down.
      const { DatabaseSync } = await import("node:sqlite");
      const database = new DatabaseSync(`${store}/jobs.sqlite`);
      assert.equal(database.prepare("UPDATE webhooks SET due = 0").run().changes, 1);
      database.close();
    }
    await using server = await serving({ store, webhooks: receiver.settings, log });
    await receiver.has(4);
    while (!events.includes("webhook_given_up")) await delay(20);
    await delay(1200);
    assert.equal(receiver.got.length, 4, "after the last delay it is given up");
    assert.equal(new Set(receiver.got.map(({ id }) => id)).size, 1);
    assert(receiver.got.every(({ payload }) => payload.data.id === id));

    // A cancelled job sends a webhook, and a removed one sends none.
    const cancelled = await order(server, `http://${receiver.host}/cancelled`, {
      ...SMALL,
      width: 512,
      height: 512,
      steps: 150,
    });
    await (await server.post(`/v1/jobs/${cancelled}/cancel`, {})).body?.cancel();
    await receiver.has(5);
    assert.equal(receiver.got[4]?.payload.type, "job.cancelled");
  });
});

Deno.test("webhooks to other hosts are refused before anything runs", async () => {
  await using receiver = new Receiver();
  await using server = await serving({ webhooks: receiver.settings });
  await using none = await serving();
  const refusal = async (server: Serving, webhook: unknown) => {
    const reply = await server.post("/v1/jobs", { request: SMALL, webhook });
    const { error } = await reply.json();
    return [reply.status, error.code, error.param];
  };
  const forbidden = [403, "webhook_not_allowed", "webhook.url"];
  assert.deepEqual(await refusal(server, { url: "http://127.0.0.1:1/" }), forbidden);
  assert.deepEqual(await refusal(server, { url: "http://169.254.169.254/latest" }), forbidden);
  assert.deepEqual(await refusal(server, { url: `http://a@${receiver.host}/` }), forbidden);
  assert.deepEqual(await refusal(none, { url: `http://${receiver.host}/` }), forbidden);
  for (const url of ["file:///etc/passwd", "hooks", "", 7]) {
    assert.deepEqual(await refusal(server, { url }), [400, "invalid_value", "webhook.url"]);
  }
  assert.deepEqual(await refusal(server, { url: `http://${receiver.host}/`, secret: "x" }), [
    400,
    "invalid_value",
    "webhook.secret",
  ]);
  assert.deepEqual(await refusal(server, `http://${receiver.host}/`), [400, "invalid_value", "webhook"]);
  assert.equal(receiver.got.length, 0);
});
