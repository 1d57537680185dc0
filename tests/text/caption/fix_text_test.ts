import assert from "node:assert/strict";
import { fixText } from "../../../text/caption/fix_text.ts";
import { pythonResults } from "./python_results.ts";

Deno.test("fixText() matches ftfy on misread text", () => {
  const results = pythonResults("fixText");
  assert.equal(results.length, 180);
  for (const [text, expected] of results) assert.equal(fixText(text), expected, JSON.stringify(text));
});

Deno.test("fixText() repairs text that was misread twice", () => {
  assert.equal(fixText("doÃƒÂ±a cafÃƒÂ©"), "doña café");
});

Deno.test("fixText() keeps names that only look unusual", () => {
  for (const name of ["Łódź", "Ångström", "Ærøskøbing", "São Tomé", "Đà Nẵng", "Ελλάδα", "Привет"]) {
    assert.equal(fixText(name), name);
  }
});

Deno.test("fixText() keeps references from the first line with a < on", () => {
  assert.equal(fixText("&eacute;\n<b>&eacute;\n&eacute;"), "é\n<b>&eacute;\n&eacute;");
});
