import assert from "node:assert/strict";
import type { PictureRequestInput } from "../../../graph/picture_request.ts";
import type { ExtraCase } from "../extra_goldens.ts";

/** Returns the parameters of perturbed attention guidance in a case. */
export function pagRequest({ pag }: ExtraCase): Partial<PictureRequestInput> {
  assert.ok(pag);
  return {
    pagScale: pag.scale,
    pagLayers: [pag.applied_layers].flat(),
    pagAdaptiveScale: pag.adaptive_scale,
  };
}
