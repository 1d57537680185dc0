import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { FileError } from "../../disk/file_error.ts";
import { ERROR_CODES } from "../../errors/error_codes.ts";
import { exitStatus, toPixstageError } from "../../errors/foreign_error.ts";
import { parseValue } from "../../errors/parse_value.ts";
import { InputError, PixstageError } from "../../errors/pixstage_error.ts";
import { deserializeError, serializedErrorSchema, serializeError } from "../../errors/serialized_error.ts";
import { GraphError } from "../../graph/graph_error.ts";
import { ERROR_DOCUMENT, withErrorTable } from "../../tools/error_table.ts";

/** Returns the error after a round trip through JSON. */
function sent(error: unknown): PixstageError | DOMException {
  return deserializeError(serializedErrorSchema.parse(JSON.parse(JSON.stringify(serializeError(error)))));
}

Deno.test("docs/errors.md lists all error codes", () => {
  const document = readFileSync(ERROR_DOCUMENT, "utf8");
  assert.equal(document, withErrorTable(document), "write it again: deno task docs:errors");
});

Deno.test("codes for the caller's faults have a status below 500, and those for bugs have 500", () => {
  for (const [code, { fault, status }] of Object.entries(ERROR_CODES)) {
    if (fault === "caller") assert.ok(status < 500, code);
    if (fault === "bug") assert.equal(status, 500, code);
  }
});

Deno.test("a serialized error keeps its code, fault, name, message, details and causes", () => {
  const issue = { code: "empty_graph", path: ["nodes"], message: "It has no nodes" } as const;
  const disk = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  for (
    const error of [
      new InputError("out_of_range", "steps must be at least 1", { details: { field: "steps" } }),
      new GraphError([issue]),
      new FileError("write", "cat.png", "ENOSPC", { cause: disk }),
    ]
  ) {
    const arrived = sent(error);
    assert.ok(arrived instanceof PixstageError);
    assert.deepEqual(
      [arrived.name, arrived.code, arrived.fault, arrived.message, arrived.details, arrived.field],
      [error.name, error.code, error.fault, error.message, error.details, error.field],
    );
    assert.equal(exitStatus(arrived), exitStatus(error));
  }
  const { cause } = sent(new FileError("write", "cat.png", "ENOSPC", { cause: disk }));
  assert.ok(cause instanceof PixstageError && cause.code === "disk_full" && cause.message === disk.message);
});

Deno.test("a long chain of causes is cut, and only bugs include their stack", () => {
  let error = new PixstageError("internal", "0");
  for (let depth = 1; depth < 100; depth++) {
    error = new PixstageError("internal", `${depth}`, { cause: error });
  }
  let links = 0;
  for (let link: unknown = serializeError(error); link; link = (link as { cause?: unknown }).cause) links++;
  assert.equal(links, 5);
  const circular = new PixstageError("internal", "a");
  circular.cause = circular;
  assert.ok(JSON.stringify(serializeError(circular)).length < 10_000);
  const bug = new TypeError("x is not a function");
  assert.equal(sent(bug).stack, bug.stack);
  assert.equal(serializeError(new InputError("usage", "No")).stack, undefined);
});

Deno.test("an AbortError remains one, with status 130", () => {
  const arrived = sent(AbortSignal.abort().reason);
  assert.ok(arrived instanceof DOMException && arrived.name === "AbortError");
  assert.equal(exitStatus(arrived), 130);
});

Deno.test("an unknown code from another version keeps its fault", () => {
  for (const [fault, status] of [["caller", 2], ["environment", 1], ["bug", 1]] as const) {
    const arrived = deserializeError({ name: "NewError", code: "code_of_2030", fault, message: "Later" });
    assert.ok(arrived instanceof PixstageError && arrived.fault === fault && arrived.name === "NewError");
    assert.equal(exitStatus(arrived), status);
  }
});

Deno.test("errors from the system, the language and libraries get codes", async () => {
  const missing = await Deno.readFile("/nowhere/cat.png").catch((error) => error);
  const folder = await Deno.readFile("/").catch((error) => error);
  const port = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let taken: unknown;
  try {
    Deno.listen({ hostname: "127.0.0.1", port: (port.addr as Deno.NetAddr).port }).close();
  } catch (error) {
    taken = error;
  }
  port.close();
  let memory: unknown;
  try {
    new Uint8Array(2 ** 52);
  } catch (error) {
    memory = error;
  }
  const codes = [missing, folder, taken, memory, new TypeError("no"), "text", null].map((error) =>
    toPixstageError(error).code
  );
  assert.deepEqual(codes.slice(0, 3), ["file_not_found", "unusable_path", "address_in_use"]);
  assert.deepEqual(codes.slice(4), ["internal", "internal", "internal"]);
  assert.ok(memory instanceof RangeError);
});

Deno.test("parseValue() names the field, its requirement and its value", () => {
  const schema = z.strictObject({
    tileSize: z.int().min(64, "A tile must be 64 pixels at least").multipleOf(8).optional(),
    act: z.literal("gelu-approximate").optional(),
    kind: z.enum(["a", "b"]).optional(),
    name: z.string().min(1).optional(),
    list: z.array(z.number()).max(2).optional(),
    size: z.strictObject({ width: z.number().gt(0) }).optional(),
    seeds: z.union([z.number(), z.string()]).optional(),
    shape: z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("flat") }),
      z.strictObject({ kind: z.literal("round") }),
    ])
      .optional(),
    own: z.custom((value) => value === 1, "It must be one").optional(),
  });
  const cases: readonly [unknown, string, string][] = [
    [{ tileSize: 100 }, "tileSize", "tileSize must be a multiple of 8: current value is 100"],
    [{ tileSize: 8 }, "tileSize", "tileSize must be at least 64: current value is 8"],
    [{ tileSize: 64.5 }, "tileSize", "tileSize must be of type int: current value is 64.5"],
    [{ act: "gelu" }, "act", 'act must be gelu-approximate: current value is "gelu"'],
    [{ kind: "c" }, "kind", 'kind must be one of a, b: current value is "c"'],
    [{ name: "" }, "name", 'name must have at least 1 character: current value is ""'],
    [{ list: [1, 2, 3] }, "list", "list must have at most 2 items: current value is [1,2,3]"],
    [{ size: { width: 0 } }, "size.width", "size.width must be more than 0: current value is 0"],
    [{ size: {} }, "size.width", "size.width is missing: it must be of type number"],
    [{ seeds: true }, "seeds", "seeds must be of type number or of type string: current value is true"],
    [
      { shape: { kind: "odd" } },
      "shape.kind",
      'shape.kind must be one of flat, round: current value is "odd"',
    ],
    [{ own: 2 }, "own", "own must be one: current value is 2"],
    [{ tileSzie: 64 }, "tileSzie", "tileSzie is not a known field"],
    [[], "", "the value must be of type object: current value is []"],
  ];
  for (const [value, field, message] of cases) {
    assert.throws(() => parseValue(schema, value), (error) => {
      assert.ok(error instanceof InputError && error.code === "invalid_value");
      assert.deepEqual([error.message, error.field ?? ""], [message, field]);
      return true;
    });
  }
  const { message, code, fault } = toPixstageError(schema.safeParse({ kind: "c" }).error);
  assert.deepEqual([message, code, fault], ["kind must be one of a, b", "invalid_value", "caller"]);
});
