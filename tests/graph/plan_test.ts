import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { GraphError } from "../../graph/graph_error.ts";
import { planGraph, splitSource } from "../../graph/plan.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { builtInStages } from "../../stages/mod.ts";
import { toyStages } from "./toy_stages.ts";

/** Returns the faults that planning finds, as `path: code`. */
function faults(document: unknown, until?: string): string[] {
  try {
    planGraph(document, toyStages(), until === undefined ? {} : { until });
    return [];
  } catch (error) {
    assert.ok(error instanceof GraphError, String(error));
    return error.issues.map(({ path, code }) => `${path.join(".")}: ${code}`);
  }
}

const one = { stage: "constant", parameters: { value: 1 } };

Deno.test("planGraph() refuses values that are not documents", () => {
  assert.deepEqual(faults(null), [": invalid_document"]);
  assert.deepEqual(faults({ pixstage: 2, nodes: {} }), ["pixstage: invalid_document"]);
  assert.deepEqual(faults({ pixstage: 1, nodes: {} }), ["nodes: empty_graph"]);
  assert.deepEqual(faults({ pixstage: 1, nodes: { "1x": one } }), ["nodes.1x: invalid_document"]);
  assert.deepEqual(faults({ pixstage: 1, nodes: { a: { ...one, extra: 1 } } }), [
    "nodes.a.extra: invalid_document",
  ]);
});

Deno.test("planGraph() names an unknown stage and the nearest known one", () => {
  assert.throws(
    () => planGraph({ pixstage: 1, nodes: { a: { stage: "constnat" } } }, toyStages()),
    /nodes\.a\.stage: There is no stage "constnat": did you mean "constant"\?/,
  );
});

Deno.test("planGraph() names the path of an invalid parameter", () => {
  assert.deepEqual(faults({ pixstage: 1, nodes: { a: { stage: "constant", parameters: { value: "x" } } } }), [
    "nodes.a.parameters.value: invalid_parameter",
  ]);
});

Deno.test("planGraph() refuses missing inputs, unknown ports, unknown nodes and kinds that do not match", () => {
  const add = (inputs: Record<string, unknown>) => ({
    pixstage: 1,
    nodes: { one, sum: { stage: "add", inputs } },
  });
  assert.deepEqual(faults(add({ a: "one.value" })), []);
  assert.deepEqual(faults(add({ b: "one.value" })), ["nodes.sum.inputs.a: missing_input"]);
  assert.deepEqual(faults(add({ a: "one.value", c: "one.value" })), ["nodes.sum.inputs.c: unknown_port"]);
  assert.deepEqual(faults(add({ a: "two.value" })), ["nodes.sum.inputs.a: unknown_node"]);
  assert.deepEqual(faults(add({ a: "one.valeu" })), ["nodes.sum.inputs.a: unknown_port"]);
  assert.deepEqual(faults(add({ a: "constructor.name" })), ["nodes.sum.inputs.a: unknown_node"]);
  assert.deepEqual(
    faults({
      pixstage: 1,
      nodes: {
        one,
        text: { stage: "text", inputs: { value: "one.value" } },
        sum: { stage: "add", inputs: { a: "text.text" } },
      },
    }),
    ["nodes.sum.inputs.a: kind_mismatch"],
  );
});

Deno.test("planGraph() finds all faults of a document at once", () => {
  const nodes = { a: { stage: "constant" }, b: { stage: "add" }, c: { stage: "nothing" } };
  assert.equal(faults({ pixstage: 1, nodes }).length, 3);
});

Deno.test("planGraph() reports a cycle with its nodes", () => {
  const nodes = {
    a: { stage: "add", inputs: { a: "c.sum" } },
    b: { stage: "add", inputs: { a: "a.sum" } },
    c: { stage: "add", inputs: { a: "b.sum" } },
  };
  assert.throws(() => planGraph({ pixstage: 1, nodes }, toyStages()), /a → c → b → a/);
});

Deno.test("planGraph() until a node keeps only that node's dependencies", () => {
  const nodes = { one, two: one, sum: { stage: "add", inputs: { a: "two.value" } } };
  const plan = planGraph({ pixstage: 1, nodes }, toyStages(), { until: "sum" });
  assert.deepEqual(plan.nodes.map(({ id }) => id), ["two", "sum"]);
  assert.deepEqual(faults({ pixstage: 1, nodes }, "summ"), ["nodes: unknown_node"]);
});

Deno.test("planGraph() puts each node after its sources, whatever the order of the document", () => {
  const graphs = fc.nat({ max: 12 }).chain((last) =>
    fc.tuple(
      fc.shuffledSubarray(Array.from({ length: last + 1 }, (_, i) => i), { minLength: last + 1 }),
      fc.array(fc.nat(), { minLength: last + 1, maxLength: last + 1 }),
    )
  );
  fc.assert(fc.property(graphs, ([order, picks]) => {
    const nodes = Object.fromEntries(order.map((id) => [
      `n${id}`,
      id === 0 ? one : {
        stage: "add",
        inputs: { a: id === 1 ? "n0.value" : `n${1 + picks[id]! % (id - 1)}.sum` },
      },
    ]));
    const plan = planGraph({ pixstage: 1, nodes }, toyStages());
    assert.equal(plan.nodes.length, order.length);
    const place = new Map(plan.nodes.map(({ id }, index) => [id, index]));
    for (const node of plan.nodes) {
      for (const source of Object.values(node.inputs)) {
        assert.ok(place.get(splitSource(source as string)[0])! < place.get(node.id)!);
      }
    }
  }));
});

Deno.test("planGraph() never throws anything but a GraphError", () => {
  fc.assert(fc.property(fc.anything(), (document) => {
    assert.throws(() => planGraph(document, toyStages()), GraphError);
  }));
  const node = fc.record({
    stage: fc.constantFrom("constant", "add", "text", "x"),
    parameters: fc.dictionary(fc.constantFrom("value", "digits", "__proto__"), fc.anything()),
    inputs: fc.dictionary(
      fc.constantFrom("a", "b", "value", "toString"),
      fc.constantFrom("a.value", "b.sum", "c.text", "__proto__.x", ""),
    ),
  }, { requiredKeys: ["stage"] });
  const nodes = fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__"), node);
  fc.assert(fc.property(nodes, (nodes) => {
    try {
      planGraph({ pixstage: 1, nodes }, toyStages());
    } catch (error) {
      assert.ok(error instanceof GraphError, String(error));
    }
  }));
});

Deno.test("textToImage() writes graphs that plan", () => {
  const order = (...[request, options]: Parameters<typeof textToImage>) =>
    planGraph(textToImage(request, options), builtInStages()).nodes.map(({ id }) => id).join(" ");
  const request = { model: "m", prompts: ["cute cat"] };
  // The checkpoint can decide about guidance, so the negative prompt is always there. It does not run if
  // guidance is off.
  assert.equal(order(request), "prompt negative denoise decode");
  assert.equal(order({ ...request, guidanceScale: 1 }), "prompt negative denoise decode");
  assert.equal(order(request, { pair: true }), "prompt negative pair denoise decode");
  assert.equal(order({ model: "m" }, { embeddingsFile: "e" }), "denoise decode");
  assert.equal(order({ model: "m" }, { latentsFile: "l" }), "decode");
  assert.throws(() => textToImage({ model: "m" }), /a prompt, or a file/);
  assert.throws(() => textToImage(request, { latentsFile: "l" }), /both prompts and l/);
  assert.throws(() => textToImage({ ...request, seeds: [1, 2] }), /expected 1 seed, but there are 2/);
});

Deno.test("a quantized autoencoder is refused by name, and all stages may be quantized", () => {
  const request = { model: "tiny", prompts: ["cat"] };
  const decoding = (precision: object) =>
    textToImage({ ...request, precision }).nodes["decode"]!.parameters!["precision"];
  for (const quantized of ["int8", "int4"]) {
    assert.equal(decoding({ "*": quantized }), undefined);
    assert.throws(() => decoding({ decode: quantized }), {
      code: "invalid_value",
      message: /Cannot decode in/,
    });
  }
  assert.equal(decoding({ "*": "int8", decode: "float16" }), "float16");
});
