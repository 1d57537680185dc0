import assert from "node:assert/strict";
import { z } from "zod";
import { LARGEST_ERRORS } from "../../devices/device_probe.ts";
import { needing } from "../needing.ts";

const factsSchema = z.object({ float32: z.number().optional(), reason: z.string().optional() });

const { stdout } = await new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", new URL("tf32_main.ts", import.meta.url).pathname],
}).output();
const { float32, reason } = factsSchema.parse(JSON.parse(new TextDecoder().decode(stdout)));

Deno.test(needing({ what: `cuda-tf32, where ${reason}`, isThere: float32 !== undefined }, {
  name: "cuda-tf32 rounds the inputs of products to 10 bits",
  fn() {
    assert(float32! > LARGEST_ERRORS.float32 / 2 && float32! < LARGEST_ERRORS.tf32, `off by ${float32}`);
  },
}));
