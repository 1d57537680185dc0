import { deepEqual, throws } from "node:assert/strict";
import { tensor } from "../../artifacts/tensor.ts";
import { latentsToRgb } from "../../images/latent_preview.ts";

/** Two latents of 1 × 2: zeros and the first unit vector, then the last unit vector and large values. */
const latents = tensor(
  "float32",
  [2, 4, 1, 2],
  Float32Array.of(0, 1, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 1, 0),
);

Deno.test("latentsToRgb() projects Stable Diffusion's latents", () => {
  deepEqual(latentsToRgb(latents, "sd"), [
    { width: 2, height: 1, data: Uint8Array.of(128, 128, 128, 165, 154, 154) },
    { width: 2, height: 1, data: Uint8Array.of(104, 93, 67, 255, 255, 255) },
  ]);
});

Deno.test("latentsToRgb() projects Stable Diffusion XL's latents", () => {
  deepEqual(latentsToRgb(latents, "sdxl"), [
    { width: 2, height: 1, data: Uint8Array.of(150, 140, 130, 210, 200, 190) },
    { width: 2, height: 1, data: Uint8Array.of(80, 90, 95, 255, 255, 255) },
  ]);
});

Deno.test("latentsToRgb() repeats pixels to enlarge a preview", () => {
  const [preview] = latentsToRgb(latents, "sdxl", { scale: 2 });
  const row = [150, 140, 130, 150, 140, 130, 210, 200, 190, 210, 200, 190];
  deepEqual(preview, { width: 4, height: 2, data: Uint8Array.from([...row, ...row]) });
});

Deno.test("latentsToRgb() refuses other shapes, families and scales", () => {
  throws(() => latentsToRgb(tensor("float32", [1, 3, 1, 1], new Float32Array(3)), "sd"), {
    code: "invalid_shape",
  });
  throws(() => latentsToRgb(latents, "flux" as "sd"), { code: "invalid_value" });
  throws(() => latentsToRgb(latents, "sd", { scale: 1.5 }), { code: "out_of_range" });
});
