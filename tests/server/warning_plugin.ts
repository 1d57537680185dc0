/**
 * A stage that warns when it is prepared and while it runs, for tests of servers. It is a plugin because a
 * server's child processes load stages by module.
 *
 * @module
 */

import { z } from "zod";
import { tensor } from "../../artifacts/tensor.ts";
import { defineStage, type Stage } from "../../stages/stage.ts";

const warns: Stage = defineStage({
  name: "warns",
  version: "1",
  description: "Warns twice.",
  inputs: {},
  outputs: { value: { kind: "number", description: "A number." } },
  parameters: z.strictObject({}),
  prepare: () => ({
    identity: {},
    warnings: ["It was prepared in haste"],
    run({ report }) {
      report({ type: "warning", message: "It ran in haste" });
      const value = tensor("float64", [], Float64Array.of(1));
      return Promise.resolve({ value: { kind: "number", tensors: { value }, metadata: {} } });
    },
  }),
});

export default [warns];
