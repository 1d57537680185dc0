import assert from "node:assert/strict";
import { fillPrompts } from "../../graph/fill_prompts.ts";
import { fillWildcards } from "../../text/wildcards.ts";
import { fc } from "../random.ts";

/** Plain text, or a choice. */
type Tree = readonly (string | readonly Tree[])[];

const { tree } = fc.letrec<{ tree: Tree; choice: readonly Tree[] }>((tie) => ({
  tree: fc.array(fc.oneof({ depthSize: "small" }, fc.string({ maxLength: 6 }), tie("choice")), {
    maxLength: 4,
  }),
  choice: fc.array(tie("tree"), { minLength: 1, maxLength: 3 }),
}));

/** Returns the wildcard text of a tree. */
function written(tree: Tree): string {
  return tree.map((part) =>
    typeof part === "string"
      ? part.replace(/[{|}\\]/g, (character) => `\\${character}`)
      : `{${part.map(written).join("|")}}`
  ).join("");
}

/** Returns the text that a tree yields for the given draws. */
function filled(tree: Tree, draw: (alternatives: number) => number): string {
  return tree.map((part) => typeof part === "string" ? part : filled(part[draw(part.length)]!, draw)).join(
    "",
  );
}

/** Returns a function that repeats draws. */
function draws(numbers: readonly number[]): (alternatives: number) => number {
  let at = 0;
  return (alternatives) => numbers[at++ % numbers.length]! % alternatives;
}

Deno.test("fillWildcards() returns the drawn alternatives at any depth", () => {
  fc.assert(fc.property(tree, fc.array(fc.nat(99), { minLength: 1 }), (tree, numbers) => {
    assert.equal(fillWildcards(written(tree), draws(numbers)), filled(tree, draws(numbers)));
  }));
});

Deno.test("fillWildcards() keeps text without braces and refuses unbalanced ones, for any text", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    if (!/[{}\\]/.test(text)) return assert.equal(fillWildcards(text, () => 0), text);
    try {
      fillWildcards(text, () => 0);
    } catch (error) {
      assert.equal(Reflect.get(Object(error), "code"), "invalid_value");
      assert.match(String(error), /Cannot fill the wildcards of a prompt: .* at character \d+/);
    }
  }));
  const refused: [string, RegExp][] = [
    ["a {red|blue car", /a \{ is not closed at character 3/],
    ["a red} car", /a \} closes nothing at character 6/],
    ["{".repeat(17) + "}".repeat(17), /must be nested at most 16 deep.* character 17/],
    ["{".repeat(100_000), /16 deep/],
  ];
  for (const [text, message] of refused) {
    assert.throws(() => fillWildcards(text, () => 0), { code: "invalid_value", message });
  }
});

Deno.test("fillPrompts() draws each picture's prompt from only its own seed", () => {
  const prompt = fc.constantFrom("a {red|blue|green} car", "{a|b|c|d}{e|f|g}", "plain");
  fc.assert(fc.property(
    fc.array(prompt, { minLength: 1, maxLength: 3 }),
    fc.integer({ min: 1, max: 3 }),
    fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
    (prompts, imagesPerPrompt, seed) => {
      const request = { model: "m", wildcards: true };
      const all = fillPrompts({ ...request, prompts, imagesPerPrompt, seeds: [String(seed)] });
      assert.equal(all.prompts?.length, prompts.length * imagesPerPrompt);
      all.prompts.forEach((text, image) => {
        const own = [prompts[Math.floor(image / imagesPerPrompt)]!];
        const alone = fillPrompts({ ...request, prompts: own, seeds: [String(seed + BigInt(image))] });
        assert.deepEqual([alone.prompts, alone.seeds], [[text], [all.seeds![image]]]);
        assert.equal(all.imagesPerPrompt, 1);
      });
    },
  ));
  const colours = fillPrompts({
    model: "m",
    wildcards: true,
    prompts: ["{red|blue}"],
    imagesPerPrompt: 200,
  }).prompts!.filter((text) => text === "red").length;
  assert(colours > 60 && colours < 140, `${colours}`);
  const plain = { model: "m", prompts: ["{red|blue}"] };
  assert.deepEqual(fillPrompts(plain), plain);
  assert.throws(() => fillPrompts({ model: "m", wildcards: true }), { code: "invalid_value" });
});

Deno.test("fillPrompts() keeps each prompt's negative prompt with its pictures", () => {
  const { negativePrompt } = fillPrompts({
    model: "m",
    wildcards: true,
    prompts: ["{a|b}", "c"],
    negativePrompt: ["x", "y"],
    imagesPerPrompt: 2,
  });
  assert.deepEqual(negativePrompt, ["x", "x", "y", "y"]);
});
