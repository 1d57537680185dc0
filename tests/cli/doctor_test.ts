import assert from "node:assert/strict";
import { featuresOf } from "../../system/processor.ts";
import { inFolder } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

Deno.test("doctor tells what an issue needs, and finds nothing wrong here", () =>
  inFolder(async (folder) => {
    const { status, stdout } = await runHere(folder, "doctor");
    assert.equal(status, 0, stdout);
    for (
      const line of [
        /^versions +pixstage \d+\.\d+\.\d+, Deno .*, ONNX Runtime 1\.\d+\.\d+$/m,
        /^processor +.+, \d+ threads$/m,
        /^memory +[\d.]+ GB, [\d.]+ GB available/m,
        /^a picture +of pixstage-emoji needs \d+ MB of memory$/m,
        /^devices +cpu +float32 off by /m,
        /^store +.*-store, does not exist yet, .* free$/m,
        /^models +pixstage-emoji, [\d.]+ MB$/m,
        /^permissions +read, write, env, ffi, sys, net, run$/m,
        /^Nothing is wrong\.$/m,
      ]
    ) assert.match(stdout, line);
  }));

Deno.test("the instruction sets of a processor are those that the kernel lists", () => {
  const intel =
    "model name\t: Xeon\nflags\t\t: fpu avx2 avx512f avx512_vnni amx_int8 amx_tile\nbugs\t: amx_bf16\n";
  assert.deepEqual(featuresOf(intel, "x64"), {
    AVX2: true,
    "AVX-512": true,
    "AVX-VNNI": false,
    "AVX-512 VNNI": true,
    "AVX-512 FP16": false,
    "AMX int8": true,
    "AMX bfloat16": false,
  });
  const arm = featuresOf("Features\t: fp asimd asimddp\n", "arm64");
  assert.deepEqual([arm["dot product"], arm["I8MM"]], [true, false]);
  assert.deepEqual(featuresOf(intel, "riscv64"), {});
});
