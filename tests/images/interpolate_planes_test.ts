import assert from "node:assert/strict";
import { tensor } from "../../artifacts/tensor.ts";
import { interpolatePlanes, type Interpolation } from "../../images/interpolate_planes.ts";
import REFERENCE from "./interpolate_planes.json" with { type: "json" };

Deno.test("planes are interpolated like in torch", () => {
  assert.equal(REFERENCE.cases.length, 14);
  for (const { mode, shape, planes, size, made } of REFERENCE.cases) {
    const [height, width] = size as [number, number];
    const given = tensor("float32", shape, Float32Array.from(planes));
    const { data } = interpolatePlanes(given, height, width, mode as Interpolation);
    assert.equal(data.length, made.length);
    const off = Math.max(...made.map((value, i) => Math.abs(value - data[i]!)));
    assert.ok(off < 5e-6, `${mode} to ${size}: off by ${off}`);
  }
});
