/**
 * Tests that run in a process of their own, because they measure the memory of the process. In a process that
 * has run other tests, garbage of those can be freed between two measurements.
 *
 * @module
 */

import assert from "node:assert/strict";

/** Name of the variable that tells a process which test it runs. */
const VARIABLE = "PIXSTAGE_TEST_IN_PROCESS";

/**
 * Makes a test run in a process of its own.
 *
 * @param file `import.meta.url` of the file that defines the test.
 * @param test The test.
 * @returns A test that starts a process for the given one, and fails with its output if it fails. In that
 * process, the given test.
 */
export function inOwnProcess(file: string, test: Deno.TestDefinition): Deno.TestDefinition {
  if (Deno.env.get(VARIABLE) === test.name) return test;
  return {
    ...test,
    async fn() {
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["test", "-A", "--quiet", "--no-check", `--filter=${test.name}`, file],
        env: { [VARIABLE]: test.name, NO_COLOR: "1" },
      }).output();
      const output = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
      assert(success, output);
      assert.match(output, /1 passed/);
    },
  };
}
