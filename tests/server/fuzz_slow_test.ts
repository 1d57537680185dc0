import assert from "node:assert/strict";
import fc from "fast-check";
import { createServer } from "../../server/create_server.ts";
import type { EngineResult, EngineRun } from "../../server/engine/engine.ts";
import { builtInStages } from "../../stages/mod.ts";
import { HostedEngine } from "../../server/engine/hosted_engine.ts";
import { InputError } from "../../errors/pixstage_error.ts";
import { goldenPath } from "../goldens.ts";
import { MODELS } from "./serving.ts";

/** The parts of the OpenAPI document that requests are made from. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: boolean | Schema;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

interface Operation {
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: Schema }>> };
  readonly responses: Readonly<Record<string, unknown>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** The real engine, but that its runs end at once: what is fuzzed is the server. */
class HastyEngine extends HostedEngine {
  override run({ onEvent }: EngineRun): Promise<EngineResult> {
    onEvent({
      type: "failed",
      elapsedMs: 0,
      error: "InputError",
      code: "out_of_range",
      fault: "caller",
      message: "No",
    });
    return Promise.reject(new InputError("out_of_range", "No"));
  }
}

/** Values that a schema allows, most of the time, and anything at all now and then. */
function valueOf(schema: Schema, document: Document, depth = 0): fc.Arbitrary<unknown> {
  const good = goodValue(schema, document, depth);
  return fc.oneof({ arbitrary: good, weight: 12 }, { arbitrary: fc.jsonValue({ maxDepth: 2 }), weight: 1 });
}

function goodValue(schema: Schema, document: Document, depth: number): fc.Arbitrary<unknown> {
  const { $ref, anyOf, oneOf, allOf, items, minimum, maximum, pattern } = schema;
  if ($ref) return goodValue(document.components.schemas[$ref.split("/").pop()!]!, document, depth);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const options = anyOf ?? oneOf;
  if (options) return fc.oneof(...options.map((option) => goodValue(option, document, depth)));
  if (allOf) return goodValue(Object.assign({}, ...allOf), document, depth);
  const types = [schema.type ?? "object"].flat();
  if (types.length > 1) {
    return fc.oneof(...types.map((type) => goodValue({ ...schema, type }, document, depth)));
  }
  switch (types[0]) {
    case "string":
      return pattern === undefined
        ? fc.oneof(
          fc.string({ unit: "binary", maxLength: 30 }),
          fc.constantFrom("tiny", "encode", "../..", "/etc/passwd", "\0"),
        )
        : fc.oneof(fc.stringMatching(new RegExp(pattern)), fc.string({ maxLength: 5 }));
    case "integer":
      return fc.oneof(
        fc.integer({ min: minimum ?? -3, max: Math.min(maximum ?? 100, 1e9) }),
        fc.maxSafeInteger(),
      );
    case "number":
      return fc.oneof(fc.double({ noNaN: true, min: minimum ?? -10, max: maximum ?? 100 }), fc.double());
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(valueOf(items ?? {}, document, depth + 1), { maxLength: depth > 3 ? 1 : 4 });
    default:
      return objectOf(schema, document, depth);
  }
}

function objectOf(schema: Schema, document: Document, depth: number): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = schema;
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [name, valueOf(value, document, depth + 1)]),
  );
  const known = fc.record(fields, { requiredKeys: required.filter((name) => Object.hasOwn(fields, name)) });
  if (!additionalProperties || depth > 4) return known;
  const more = typeof additionalProperties === "object" ? additionalProperties : {};
  const names = fc.oneof(fc.constantFrom("encode", "denoise", "decode", "model", "__proto__"), fc.string());
  return fc.tuple(known, fc.dictionary(names, valueOf(more, document, depth + 1), { maxKeys: 3 }))
    .map(([first, second]) => ({ ...second, ...first }));
}

/** Sound bodies, to be spoilt in one place. */
const SOUND: Readonly<Record<string, readonly object[]>> = {
  "/v1/images/generations": [
    {
      prompt: "cat",
      model: "tiny",
      n: 2,
      size: "64x64",
      steps: 3,
      seed: 1,
      output_format: "webp",
      stream: true,
    },
  ],
  "/v1/jobs": [
    {
      request: {
        model: "tiny",
        prompts: ["cat"],
        steps: 3,
        width: 64,
        height: 64,
        seeds: [1],
        vae: "tiny-taesd",
      },
    },
    {
      request: {
        model: "tiny",
        prompts: ["cat"],
        timesteps: [9, 5],
        negativePrompt: ["x"],
        maxSequenceLength: 9,
      },
    },
    {
      graph: {
        pixstage: 1,
        nodes: {
          text: { stage: "encode", parameters: { model: "tiny", prompts: ["cat"] } },
          denoise: {
            stage: "denoise",
            parameters: {
              model: "tiny",
              guidanceScale: 1,

              scheduler: "ddim",
              schedulerOptions: { timestep_spacing: "trailing" },
              eta: 0,
            },
            inputs: { embeddings: "text.embeddings" },
          },
        },
      },
      previews: false,
    },
  ],
  "/v1/stages/{name}": [{ version: "2", parameters: { model: "tiny", prompts: ["cat"] }, inputs: {} }],
};

/** Values that are of the right type, at times, and still wrong. */
const ODD = fc.constantFrom(
  "tiny-taesd",
  "tiny-sigma",
  "nonsense",
  "ddim",
  "",
  -1,
  0,
  0.5,
  1,
  1e308,
  2 ** 60,
  [],
  {},
  null,
);

/** A sound body with one value replaced, or none. */
function spoilt(sound: readonly object[]): fc.Arbitrary<unknown> {
  return fc.tuple(
    fc.constantFrom(...sound),
    fc.nat(),
    fc.oneof(fc.jsonValue({ maxDepth: 1 }), ODD),
    fc.boolean(),
  ).map(
    ([body, place, value, isSpoilt]) => {
      let left = place % ((JSON.stringify(body).match(/[:,[]/g)?.length ?? 0) + 1);
      return isSpoilt ? JSON.parse(JSON.stringify(body), (_, part) => left-- === 0 ? value : part) : body;
    },
  );
}

/** A text that may stand in a header or an address. */
function textOf(schema: Schema, document: Document): fc.Arbitrary<string> {
  return valueOf(schema, document).map((value) =>
    typeof value === "string" ? value : JSON.stringify(value) ?? ""
  );
}

function requestOf(
  path: string,
  method: string,
  operation: Operation,
  document: Document,
): fc.Arbitrary<Request> {
  const { parameters = [], requestBody } = operation;
  const given = (place: string) => parameters.filter((parameter) => parameter.in === place);
  const record = (place: string) =>
    fc.record(
      Object.fromEntries(given(place).map(({ name, schema }) => [name, textOf(schema, document)])),
      { requiredKeys: given(place).filter(({ required }) => required).map(({ name }) => name) },
    ) as fc.Arbitrary<Record<string, string>>;
  const [[type, content] = []] = Object.entries(requestBody?.content ?? {});
  const body: fc.Arbitrary<string | Uint8Array<ArrayBuffer> | undefined> = !content
    ? fc.constant(undefined)
    : type === "application/json"
    ? fc.oneof(
      { arbitrary: spoilt(SOUND[path] ?? [{}]).map((value) => JSON.stringify(value)), weight: 9 },
      { arbitrary: valueOf(content.schema, document).map((value) => JSON.stringify(value)), weight: 9 },
      { arbitrary: fc.string(), weight: 1 },
    )
    : fc.uint8Array({ maxLength: 300 }).map((bytes) => new Uint8Array(bytes));
  const types = fc.oneof(
    { arbitrary: fc.constant(type ?? "text/plain"), weight: 9 },
    { arbitrary: fc.constant("text/plain"), weight: 1 },
  );
  return fc.tuple(record("path"), record("query"), record("header"), body, types).map(
    ([inPath, inQuery, inHeader, body, type]) => {
      const filled = path.replaceAll(
        /\{(\w+)\}/g,
        (_, name) => encodeURIComponent((inPath[name] ?? "x").toWellFormed()),
      );
      const url = new URL(`http://localhost${filled}?${new URLSearchParams(inQuery)}`);
      const headers = new Headers({ "content-type": type });
      for (const [name, value] of Object.entries(inHeader)) {
        if (/^[\x20-\x7e]*$/.test(value)) headers.set(name, value);
      }
      return new Request(url, {
        method: method.toUpperCase(),
        headers,
        ...(body === undefined ? {} : { body }),
      });
    },
  );
}

/** The stream of the queue ends with the server alone. */
const ENDLESS = "/v1/jobs/events";

/** The first part of a stream. */
async function beginning({ body }: Response): Promise<string> {
  const reader = body!.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return new TextDecoder().decode(value);
}

Deno.test("no request, however odd, gets a fault of the server or a stack trace", async () => {
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
          fc.asyncProperty(requestOf(path, method, operation, document), async (request) => {
            const reply = await server.fetch(request);
            const key = `${method} ${path} ${reply.status}`;
            statuses.set(key, (statuses.get(key) ?? 0) + 1);
            const text = path === ENDLESS && reply.ok ? await beginning(reply) : await reply.text();
            assert(reply.status < 500, `${key}: ${text} ${JSON.stringify(faults.at(-1))}`);
            assert(!/\bat .+:\d+:\d+|file:\/\/|node_modules/.test(text), `${key}: ${text}`);
            if (reply.status < 400) return;
            if (reply.status === 416) return;
            const { error } = JSON.parse(text);
            assert.equal(typeof error.message, "string");
            assert.equal(typeof error.type, "string");
            assert.equal(typeof error.code, "string");
            assert(error.param === null || typeof error.param === "string");
          }),
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
