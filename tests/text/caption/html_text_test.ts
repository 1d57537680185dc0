import assert from "node:assert/strict";
import { fc } from "../../random.ts";
import { unescapeHtml } from "../../../text/caption/html_entities.ts";
import { htmlText } from "../../../text/caption/html_text.ts";
import { pythonResults } from "./python_results.ts";

Deno.test("htmlText() matches Beautiful Soup with html.parser on broken markup", () => {
  const results = pythonResults("htmlText");
  assert.equal(results.length, 150);
  for (const [markup, expected] of results) assert.equal(htmlText(markup), expected, JSON.stringify(markup));
});

Deno.test("htmlText() keeps text without < and & unchanged, except blank text", () => {
  const text = fc.string({ unit: "binary" }).filter((input) => !/^[ \n\t\f\r]*$|[<&]/.test(input));
  fc.assert(fc.property(text, (input) => assert.equal(htmlText(input), input)));
});

Deno.test("htmlText() treats sections that the reference refuses as text", () => {
  assert.equal(htmlText("a <![foo[ b"), "a <![foo[ b");
});

Deno.test("unescapeHtml() matches Python's html.unescape", () => {
  const results = pythonResults("unescapeHtml");
  assert.equal(results.length, 80);
  for (const [text, expected] of results) assert.equal(unescapeHtml(text), expected, JSON.stringify(text));
});

Deno.test("unescapeHtml() accepts numbers of any size", () => {
  assert.equal(unescapeHtml(`&#${"9".repeat(5000)};`), "\ufffd");
});
