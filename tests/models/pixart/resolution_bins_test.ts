import { deepEqual, equal, throws } from "node:assert/strict";
import { classifyResolution } from "../../../models/pixart/resolution_bins.ts";
import { goldenJson } from "../../goldens.ts";

interface Binning {
  sample_size_to_table: Record<string, Record<string, string>>;
  tables: Record<string, Record<string, [number, number]>>;
  cases: Record<string, [number, number, number, number][]>;
}

const golden = goldenJson<Binning>("units/binning.json");

for (const [sampleSize, table] of Object.entries(golden.sample_size_to_table["sigma"]!)) {
  Deno.test(`classifyResolution() matches the reference's ${table} table`, () => {
    const cases = golden.cases[table]!;
    equal(cases.length > 0, true);
    for (const [height, width, binnedHeight, binnedWidth] of cases) {
      deepEqual(
        classifyResolution(height, width, Number(sampleSize)),
        { height: binnedHeight, width: binnedWidth },
        `${height} × ${width}`,
      );
    }
  });

  Deno.test(`classifyResolution() knows every bin of the reference's ${table} table`, () => {
    for (const [ratio, [height, width]] of Object.entries(golden.tables[table]!)) {
      deepEqual(classifyResolution(Number(ratio), 1, Number(sampleSize)), { height, width });
    }
  });
}

Deno.test("classifyResolution() rejects sample sizes without a table and invalid sizes", () => {
  throws(() => classifyResolution(512, 512, 96), { code: "out_of_range" });
  throws(() => classifyResolution(0, 512, 64), { code: "out_of_range" });
  throws(() => classifyResolution(512, NaN, 64), { code: "out_of_range" });
});
