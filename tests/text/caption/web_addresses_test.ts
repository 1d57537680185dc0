import assert from "node:assert/strict";
import { fc } from "../../random.ts";
import { cleanCaption } from "../../../text/caption/clean_caption.ts";
import { pythonRegExp } from "../../../text/caption/python_regexp.ts";
import { removeAddresses, removeFileNames } from "../../../text/caption/web_addresses.ts";

/** Expressions of the reference, `_clean_caption` of diffusers' pipeline_pixart_alpha.py. */
const DOMAIN = String.raw`[a-zA-Z0-9.\-]+[.](?:com|co|ru|net|org|edu|gov|it)[\w\/\-]*\b\/?(?!@)`;
const HTTP = pythonRegExp(String.raw`\b((?:https?:(?:\/{1,3}|[a-zA-Z0-9%])|${DOMAIN}))`, "g");
const WWW = pythonRegExp(String.raw`\b((?:www:(?:\/{1,3}|[a-zA-Z0-9%])|${DOMAIN}))`, "g");
const FILES = pythonRegExp(String.raw`\S+\.(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)`, "g");

const PARTS = [
  "a",
  "Z",
  "1",
  "é",
  ".",
  "-",
  "_",
  "/",
  ":",
  "@",
  "%",
  " ",
  "\n",
  "com",
  "co",
  "it",
  "http",
  "https",
  "www",
  "png",
  "jpeg",
  "mp4",
];
const text = fc.array(fc.constantFrom(...PARTS, ".com", ".png"), { maxLength: 16 }).map((parts) =>
  parts.join("")
);

Deno.test("addresses and file names are removed like by the reference's expressions, for any text", () => {
  const [http, www] = [removeAddresses(["https", "http"]), removeAddresses(["www"])];
  fc.assert(
    fc.property(text, (text) => {
      assert.equal(http(text), text.replace(HTTP, ""));
      assert.equal(www(text), text.replace(WWW, ""));
      assert.equal(removeFileNames(text), text.replace(FILES, ""));
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("cleaning any caption of 8000 characters is fast", () => {
  const shapes = [
    "11111111x1111111_",
    "a.",
    "a.com@",
    "a1",
    "1.",
    " ",
    "x",
    "https:",
    "<a",
    "<!--",
    "<b>",
    "&#38;#38;",
    "&a",
    "Ã©",
    "ÃƒÂ©",
    "é.com",
    "worldwide ",
    "a  .",
    "\n",
    "'\"",
  ];
  for (const shape of shapes) {
    for (const caption of [shape.repeat(8000 / shape.length), `a${shape.repeat(8000 / shape.length)}_`]) {
      const started = performance.now();
      cleanCaption(cleanCaption(caption));
      const ms = performance.now() - started;
      // The slowest takes a quarter of a second; one of them used to take minutes.
      assert(ms < 3000, `${JSON.stringify(shape)}: ${ms} ms`);
    }
  }
  const digits = `${"1".repeat(4000)}x${"1".repeat(3998)}_`;
  const started = performance.now();
  assert.equal(cleanCaption(digits), digits.slice(0, -1), "all but the underscore at the end");
  assert(performance.now() - started < 1000);
});
