import assert from "node:assert/strict";
import type { PictureRequestInput } from "../../../graph/picture_request.ts";
import type { ExtraCase } from "../extra_goldens.ts";

/** The parameters of perturbed attention guidance that a case names. */
export function pagRequest({ pag }: ExtraCase): Partial<PictureRequestInput> {
  assert.ok(pag);
  return {
    pagScale: pag.scale,
    pagLayers: [pag.applied_layers].flat(),
    pagAdaptiveScale: pag.adaptive_scale,
  };
}
