import assert from "node:assert/strict";
import { fc } from "../../random.ts";
import { cleanCaption } from "../../../text/caption/clean_caption.ts";
import { captionPreprocessor } from "../../../text/caption/preprocess_caption.ts";
import { goldenJson } from "../../goldens.ts";
import { pythonResults } from "./python_results.ts";

const preprocess = await captionPreprocessor(true);
const preprocessPlain = await captionPreprocessor(false);

interface CaptionGoldens {
  cases: { in: string; clean: string; plain: string }[];
}

Deno.test("captionPreprocessor() matches the reference on every golden caption, with and without cleaning", () => {
  const { cases } = goldenJson<CaptionGoldens>("units/captions.json");
  assert.equal(cases.length, 114);
  for (const { in: text, clean, plain } of cases) {
    assert.equal(preprocess(text), clean, `cleaned ${JSON.stringify(text)}`);
    assert.equal(preprocessPlain(text), plain, `plain ${JSON.stringify(text)}`);
  }
});

Deno.test("captionPreprocessor() matches the reference on invented captions", () => {
  for (const [text, expected] of pythonResults("preprocessCaption")) {
    assert.equal(preprocess(text), expected, JSON.stringify(text));
  }
});

Deno.test("cleanCaption() returns trimmed text for any string", () => {
  const fragment = fc.constantFrom(
    "<",
    ">",
    "</",
    "<![",
    "<!--",
    "&",
    "&#",
    ";",
    "%",
    "+",
    "Ã",
    "â€",
    "\ud800",
    "\n",
  );
  const text = fc.array(fc.oneof(fragment, fc.string({ unit: "binary" })), { maxLength: 12 }).map((parts) =>
    parts.join("")
  );
  fc.assert(fc.property(text, (input) => {
    const cleaned = cleanCaption(input);
    assert.equal(cleaned.replace(/^ | $/g, ""), cleaned);
  }));
});

Deno.test("cleanCaption() keeps markup as text if the reference refuses it", () => {
  assert.equal(cleanCaption("a cat <![foo[ on a mat"), "a cat <! foo on a mat");
});
