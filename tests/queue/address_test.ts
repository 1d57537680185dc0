import assert from "node:assert/strict";
import { InputError } from "../../errors/pixstage_error.ts";
import { PixstageError } from "../../errors/pixstage_error.ts";
import { isQueueAddress, parseQueueAddress } from "../../queue/address.ts";
import { failureText, readFailure } from "../../queue/job_failure.ts";
import { modelsNamed, preparationQueue, runQueueOf } from "../../queue/model_identity.ts";
import { fc } from "../random.ts";

const host = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}[a-z0-9]$/);
const user = fc.stringMatching(/^[A-Za-z][\w.]{0,10}$/);

Deno.test("parseQueueAddress() parses an address with or without queue:", () => {
  fc.assert(fc.property(
    fc.record({
      host,
      user: fc.option(user),
      port: fc.option(fc.integer({ min: 1, max: 65535 })),
      database: fc.option(fc.integer({ min: 0, max: 99999 })),
      priority: fc.option(fc.integer({ min: 0, max: 2_097_151 })),
      scheme: fc.constantFrom("redis", "rediss", "postgres", "postgresql"),
      prefix: fc.constantFrom("", "queue:"),
    }),
    ({ host, user, port, database, priority, scheme, prefix }) => {
      const place = `${user === null ? "" : `${user}@`}${host}${port === null ? "" : `:${port}`}`;
      const path = database === null ? "" : `/${database}`;
      const text = `${prefix}${scheme}://${place}${path}${priority === null ? "" : `?priority=${priority}`}`;
      const address = parseQueueAddress(text);
      const isRedis = scheme.startsWith("redis");
      assert.deepEqual(address, {
        name: text,
        kind: isRedis ? "redis" : "postgres",
        host,
        port: port ?? (isRedis ? 6379 : 5432),
        tls: scheme === "rediss",
        user: user ?? undefined,
        database: database === null ? undefined : String(database),
        priority: priority ?? 0,
      });
      assert.equal(isQueueAddress(text), prefix !== "");
    },
  ));
});

Deno.test("parseQueueAddress() refuses everything else as the caller's fault, without repeating passwords", () => {
  const refused = (text: string): void => {
    assert.throws(() => parseQueueAddress(text), (error) => {
      assert.ok(error instanceof InputError, text);
      assert.ok(!error.message.includes("swordfish"));
      return true;
    });
  };
  for (
    const text of [
      ...["", "queue:", "redis", "redis://", "http://h", "queue:https://h", "redis://h#a", "redis://h/one"],
      ...[
        "redis://h?priority=-1",
        "redis://h?priority=x",
        "redis://h?speed=1",
        "redis://h:99999",
        "redis://%",
      ],
      ...["redis://:swordfish@h", "postgres://u:swordfish@h/d?tls=true", "postgres://h?tls=maybe"],
    ]
  ) refused(text);
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      parseQueueAddress(text);
    } catch (error) {
      assert.ok(error instanceof InputError);
    }
  }));
});

Deno.test("queues differ by stage, version, model, weights and numerics", async () => {
  const stage = { name: "denoise", version: "3" };
  const model = { model: "org/castle", transformer: undefined };
  const weights = [{ model: "org/castle", component: "transformer", fingerprint: "a" }];
  const prepared = { identity: { steps: 4 }, weights };
  const names = await Promise.all([
    preparationQueue(stage, model),
    preparationQueue({ ...stage, version: "4" }, model),
    preparationQueue({ ...stage, name: "decode" }, model),
    preparationQueue(stage, { model: "other/castle" }),
    preparationQueue(stage, { ...model, transformer: "fast" }),
    runQueueOf(stage, prepared),
    runQueueOf({ ...stage, version: "4" }, prepared),
    runQueueOf(stage, { ...prepared, weights: [{ ...weights[0]!, fingerprint: "b" }] }),
    runQueueOf(stage, { ...prepared, identity: { numerics: "cuda" } }),
  ]);
  assert.equal(new Set(names).size, names.length);
  // The job's key contains everything else that the result depends on.
  assert.equal(await runQueueOf(stage, { ...prepared, identity: { steps: 9 } }), names[5]);
  for (const name of names) assert.match(name, /^(?:prepare|run)\.(?:denoise|decode)\.castle\.[0-9a-f]{16}$/);
});

Deno.test("errors keep code, fault and details through a queue", () => {
  const error = new InputError("out_of_range", "Too sharp", { details: { field: "sharpness" } });
  const read = readFailure(failureText(error));
  assert.ok(read instanceof PixstageError);
  assert.deepEqual([read.code, read.fault, read.field], ["out_of_range", "caller", "sharpness"]);
  const other = readFailure("job stalled more than allowable limit");
  assert.ok(other instanceof PixstageError && other.code === "request_failed");
});

Deno.test("preparation queues differ by LoRAs, ControlNet and autoencoder, not by their order or weights", async () => {
  const stage = { name: "denoise", version: "1" };
  const queue = (parameters: object) =>
    preparationQueue(stage, modelsNamed({ model: "castle", ...parameters }));
  const lora = (name: string, weight = 1) => ({ name, weight });
  const plain = await queue({});
  assert.equal(await queue({ loras: [] }), plain);
  assert.equal(await preparationQueue(stage, { model: "castle" }), plain);
  const both = await queue({ loras: [lora("ink"), lora("chalk")] });
  assert.equal(await queue({ loras: [lora("chalk", 0.5), lora("ink"), lora("ink")] }), both);
  const others = [{ loras: [lora("ink")] }, { controlnet: "edges" }, { vae: "tiny" }, {
    loras: [lora("edges2")],
  }];
  const queues = new Set([plain, both, ...await Promise.all(others.map(queue))]);
  assert.equal(queues.size, 2 + others.length);
});
