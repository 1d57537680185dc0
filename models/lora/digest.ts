// This module is browser compatible.

import { canonicalJson } from "../../artifacts/canonical_json.ts";
import { toFloat32 } from "../../artifacts/half_precision.ts";
import { sha256 } from "../../artifacts/sha256.ts";
import { tensorBytes } from "../../artifacts/tensor.ts";
import { AdapterError } from "./adapter_error.ts";
import type { FittedAdapter } from "./fit_adapter.ts";

/**
 * Computes the SHA-256 of everything that determines an adapter's effect: modules, scales, types, shapes and
 * the values of all matrices. It reads one matrix at a time. The digest does not depend on the location or on
 * the layout (PEFT, diffusers or kohya).
 *
 * @param adapter The adapter.
 * @returns 64 hexadecimal digits.
 * @throws {AdapterError} if a value is not finite, which would turn every picture black.
 */
export async function adapterDigest({ adapter, branches }: FittedAdapter): Promise<string> {
  const parts: string[] = [];
  for (const [module, { down, up, scale }] of branches) {
    for (const { name } of [down, up]) {
      const stored = await adapter.weights.read(name);
      const bad = toFloat32(stored, name).data.findIndex((value) => !Number.isFinite(value));
      if (bad !== -1) {
        throw new AdapterError(
          `Cannot use ${adapter.name} as a LoRA because all values of ${name} must be finite: value ${bad} is not`,
        );
      }
      const content = await sha256(tensorBytes(stored));
      parts.push(canonicalJson([module, scale, stored.dtype, [...stored.shape], content]));
    }
  }
  return await sha256(new TextEncoder().encode(parts.join("\n")));
}
