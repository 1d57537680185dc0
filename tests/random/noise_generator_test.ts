import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { createGenerator, restoreGenerator } from "../../random/create_generator.ts";
import { philox4x32 } from "../../random/philox.ts";
import { PhiloxGenerator } from "../../random/philox_generator.ts";
import reference from "./torch_cuda_values.json" with { type: "json" };

const TOLERANCE = 3e-6;

interface Sample {
  count: number;
  at: number[];
  values: number[];
}

function assertClose(actual: Float32Array, { count, at, values }: Sample, tolerance: number): void {
  assert.equal(actual.length, count);
  at.forEach((index, position) => {
    const difference = Math.abs(actual[index]! - values[position]!);
    assert(difference <= tolerance, `${index} of ${count}: ${actual[index]} is not ${values[position]}`);
  });
}

Deno.test("philox4x32() returns the known answers of Random123", () => {
  const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
  const answers: [number[], [number, number], number[]][] = [
    [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [Array(4).fill(0xffffffff), [0xffffffff, 0xffffffff], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
    [pi, [0xa4093822, 0x299f31d0], [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]],
  ];
  for (const [counter, key, expected] of answers) {
    const words = Uint32Array.from(counter);
    philox4x32(words, key);
    assert.deepEqual([...words], expected);
  }
});

Deno.test("PhiloxGenerator returns the noise of torch on a CUDA device", () => {
  for (const sample of reference.single) {
    assertClose(new PhiloxGenerator(BigInt(sample.seed)).randn(sample.count), sample, TOLERANCE);
  }
  const { seed, ...half } = reference.float16;
  // One unit in the last place of float16 numbers from 1 to 4, for values at a rounding edge.
  assertClose(new PhiloxGenerator(BigInt(seed)).randn(half.count, "float16"), half, 2 ** -9);
});

Deno.test("PhiloxGenerator continues a stream like torch, beyond the threads of the device", () => {
  let generator = createGenerator("torch-cuda", BigInt(reference.sequence_seed));
  for (const sample of reference.sequence) {
    assertClose(generator.randn(sample.count), sample, TOLERANCE);
    generator = restoreGenerator(JSON.parse(JSON.stringify(generator.state())));
  }
});

Deno.test("a restored generator continues like the original one from any position", () => {
  const draws = fc.array(fc.nat(70), { maxLength: 8 });
  fc.assert(
    fc.property(
      fc.constantFrom("torch-cpu", "torch-cuda"),
      fc.bigInt(-100n, 2n ** 64n - 1n),
      draws,
      (kind, seed, counts) => {
        const generator = createGenerator(kind, seed);
        for (const count of counts) generator.randn(count);
        const restored = restoreGenerator(JSON.parse(JSON.stringify(generator.state())));
        for (const count of [1, 1, 20, 3]) assert.deepEqual(restored.randn(count), generator.randn(count));
        assert.deepEqual(restored.state(), generator.state());
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("restoreGenerator() refuses invalid states", () => {
  const state = createGenerator("torch-cpu", 1).state();
  const broken = [
    null,
    {},
    { kind: "torch-mps" },
    { ...state, words: "AAAA" },
    { ...state, words: "?" },
    { ...state, next: 625 },
    { ...state, next: -1 },
    { ...state, kept: "0" },
    { ...state, extra: 1 },
    { kind: "torch-cuda", seed: "18446744073709551616", steps: 0, threads: 270336 },
    { kind: "torch-cuda", seed: "1", steps: 0.5, threads: 270336 },
  ];
  for (const value of broken) assert.throws(() => restoreGenerator(value), { code: "invalid_value" });
});

Deno.test("PhiloxGenerator follows the layout of a smaller device", () => {
  // With 512 threads, number 512 is the second one of thread 0, not the first one of thread 512.
  const [small, large] = [new PhiloxGenerator(3, { threads: 512 }), new PhiloxGenerator(3)];
  const [few, many] = [small.randn(1024), large.randn(1024)];
  assert.deepEqual(few.subarray(0, 512), many.subarray(0, 512));
  assert.notEqual(few[512], many[512]);
  assert.throws(() => new PhiloxGenerator(0, { threads: 0 }), { code: "out_of_range" });
});
