/**
 * Random requests: drawn from the server's OpenAPI document, and valid ones corrupted in one place.
 *
 * @module
 */

import { fc } from "../random.ts";
import { createHash } from "node:crypto";

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

/** One operation of the document. */
export interface Operation {
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: Schema }>> };
  readonly responses: Readonly<Record<string, unknown>>;
}

/** The parts of the OpenAPI document that determine requests. */
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** Generates mostly values that a schema allows, and sometimes any value. */
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

/** Valid bodies to corrupt in one place. */
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

/** Invalid values, some of them of the right type. */
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

/** Generates a valid body with at most one value replaced. */
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

/** Generates the text of a valid body with some characters inserted, removed or repeated. */
function mistyped(sound: readonly object[]): fc.Arbitrary<string> {
  return fc.tuple(fc.constantFrom(...sound), fc.nat(), fc.nat({ max: 9 }), fc.string()).map(
    ([body, place, removed, inserted]) => {
      const text = JSON.stringify(body);
      const at = place % text.length;
      return text.slice(0, at) + inserted + text.slice(at + removed);
    },
  );
}

/** Generates a valid body with one value replaced by a large one: nested, long, or both. */
function enlarged(sound: readonly object[]): fc.Arbitrary<string> {
  const size = fc.constantFrom(10, 100, 1000, 8000, 12_000, 100_000);
  const large = size.chain((size) =>
    fc.constantFrom(
      "[".repeat(size) + "]".repeat(size),
      `[${Array(size).fill("1").join()}]`,
      `[${Array(size).fill('{"a":1}').join()}]`,
      `{${Array.from({ length: size }, (_, index) => `"k${index}":1`).join()}}`,
      `["${"cat ".repeat(size / 4)}"]`,
      `["${"<a".repeat(size / 2)}"]`,
      `["${"a.".repeat(size / 2)}"]`,
      `"${"x".repeat(size)}"`,
    )
  );
  return fc.tuple(fc.constantFrom(...sound), fc.nat(), large).map(([body, place, value]) => {
    let left = place % ((JSON.stringify(body).match(/[:,[]/g)?.length ?? 0) + 1);
    const marked = JSON.stringify(body, (_, part) => left-- === 0 ? "LARGE" : part);
    return marked.replace('"LARGE"', value);
  });
}

/** Generates bytes, and safetensors files with valid, large or damaged headers. */
function artifacts(): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  const entry = `{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`;
  const header = fc.oneof(
    fc.nat({ max: 9000 }).map((count) =>
      `{${Array.from({ length: count }, (_, index) => `"t${index}":${entry}`).join()}}`
    ),
    fc.nat({ max: 600_000 }).map((length) => `{"__metadata__":{"a":"${"x".repeat(length)}"}}`),
    fc.nat({ max: 100_000 }).map((levels) => `{"a":${"[".repeat(levels)}${"]".repeat(levels)}}`),
    fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify({ __metadata__: value })),
    fc.constantFrom("F32", "F16", "U8").chain((dtype) =>
      fc.array(fc.nat({ max: 9 }), { maxLength: 5 }).map((shape) =>
        JSON.stringify({ image: { dtype, shape, data_offsets: [0, 0] } })
      )
    ),
  );
  return fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => new Uint8Array(bytes)),
    header.map((text) => {
      const json = new TextEncoder().encode(text);
      const file = new Uint8Array(8 + json.length);
      new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
      file.set(json, 8);
      return file;
    }),
  );
}

/** Returns the SHA-256 of an artifact. */
function idOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Generates a text that is valid in a header or an address. */
function textOf(schema: Schema, document: Document): fc.Arbitrary<string> {
  return valueOf(schema, document).map((value) =>
    typeof value === "string" ? value : JSON.stringify(value) ?? ""
  );
}

/**
 * Generates requests for one operation.
 *
 * @param origin The server's address: `http://localhost`.
 * @param path The operation's path, with its parameters in braces.
 * @param method The operation's method.
 * @param operation The operation.
 * @param document The document that contains the operation.
 */
export function requestOf(
  origin: string,
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
  const sound = SOUND[path] ?? [{}];
  const body: fc.Arbitrary<string | Uint8Array<ArrayBuffer> | undefined> = !content
    ? fc.constant(undefined)
    : type === "application/json"
    ? fc.oneof(
      { arbitrary: spoilt(sound).map((value) => JSON.stringify(value)), weight: 9 },
      { arbitrary: valueOf(content.schema, document).map((value) => JSON.stringify(value)), weight: 9 },
      { arbitrary: mistyped(sound), weight: 2 },
      { arbitrary: enlarged(sound), weight: 1 },
      { arbitrary: fc.string(), weight: 1 },
    )
    : artifacts();
  const types = fc.oneof(
    { arbitrary: fc.constant(type ?? "text/plain"), weight: 9 },
    { arbitrary: fc.constant("text/plain"), weight: 1 },
  );
  return fc.tuple(record("path"), record("query"), record("header"), body, types).map(
    ([inPath, inQuery, inHeader, body, type]) => {
      // Most artifacts are uploaded under their own id.
      if (body instanceof Uint8Array && body.length % 4 > 0) inPath["id"] = idOf(body);
      const filled = path.replaceAll(
        /\{(\w+)\}/g,
        (_, name) => encodeURIComponent((inPath[name] ?? "x").toWellFormed()),
      );
      const url = new URL(`${origin}${filled}?${new URLSearchParams(inQuery)}`);
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

/** The stream of the queue only ends with the server. */
const ENDLESS = "/v1/jobs/events";

/** Returns the text of a reply, or the first part of an endless one. */
export async function answerText(request: Request, reply: Response): Promise<string> {
  if (!reply.ok || new URL(request.url).pathname !== ENDLESS || !reply.body) return await reply.text();
  const reader = reply.body.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return new TextDecoder().decode(value);
}
