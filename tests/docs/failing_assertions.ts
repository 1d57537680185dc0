/**
 * Makes `console.assert` throw, so that a wrong example in a document or a docstring fails its test. The task
 * `test` loads this module before all tests.
 *
 * @module
 */

import assert from "node:assert/strict";

// deno-lint-ignore no-console -- this module changes the console
console.assert = assert.ok;
