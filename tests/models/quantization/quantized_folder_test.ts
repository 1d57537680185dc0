import assert from "node:assert/strict";
import { join } from "node:path";
import { openComponent } from "../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import { openQuantized } from "../../../models/quantization/open_quantized.ts";
import { listQuantized, makeRoom, quantizedPath } from "../../../models/quantization/quantized_folder.ts";
import { type QuantizationRecipe, RECIPES } from "../../../models/quantization/recipe.ts";
import { writeQuantized } from "../../../models/quantization/write_quantized.ts";
import { inFolder, startCliWith, TINY } from "../../cli/run_cli.ts";

/** Runs the command `quantized` on a folder. */
async function quantized(
  folder: string,
  cache: string,
  ...args: string[]
): Promise<{ status: number; lines: string[]; stderr: string }> {
  const child = startCliWith(folder, { PIXSTAGE_QUANTIZED: cache }, "quantized", ...args);
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return {
    status: code,
    lines: text.decode(stdout).trim().split("\n").filter((line) => line !== ""),
    stderr: text.decode(stderr),
  };
}

Deno.test("quantized weights are listed by component, recipe and last use, and the oldest are evicted", () =>
  inFolder(async (folder) => {
    const cache = join(folder, "cache");
    assert.deepEqual(await listQuantized(cache), []);
    const component = await openComponent(await openDiskSource(TINY), { component: "transformer" });
    await openQuantized(component, "int8", cache);
    await openQuantized(component, "int4", cache);
    // Open it again to make it the most recently used.
    await openQuantized(component, "int8", cache);
    const entries = await listQuantized(cache);
    assert.deepEqual(entries.map(({ recipe }) => recipe), ["int4", "int8"]);
    assert.deepEqual(entries.map((entry) => entry.component), Array(2).fill("tiny-alpha-512/transformer"));
    for (const { folder, bytes } of entries) {
      assert.equal((await Deno.stat(join(folder, "model.safetensors"))).size, bytes);
    }

    const listed = await quantized(folder, cache, "ls", "--json");
    assert.deepEqual(listed.lines.map((line) => JSON.parse(line).id), entries.map(({ id }) => id));
    const { lines, stderr } = await quantized(folder, cache, "ls");
    assert.match(lines[0]!, /tiny-alpha-512\/transformer int4$/);
    assert.match(stderr, /2 quantized components/);

    const removed = await makeRoom(cache, entries[1]!.bytes);
    assert.deepEqual(removed.map(({ recipe }) => recipe), ["int4"]);
    const ambiguous = await quantized(folder, cache, "rm", "0000");
    assert.equal(ambiguous.status, 2);
    assert.match(ambiguous.stderr, /no quantized component whose id starts with it/);
    assert.equal((await quantized(folder, cache, "rm", entries[1]!.id.slice(0, 8))).status, 0);
    assert.deepEqual(await listQuantized(cache), []);
  }));

Deno.test("weights of an earlier quantizer are recognized and not opened", () =>
  inFolder(async (folder) => {
    const cache = join(folder, "cache");
    const component = await openComponent(await openDiskSource(TINY), { component: "transformer" });
    // The first version of int8 used blocks.
    const earlier: QuantizationRecipe = { ...RECIPES["int8-blocks"], name: "int8", version: 1 };
    const origin = { component: "0", name: "tiny/transformer" };
    await writeQuantized(quantizedPath(cache, "0-0-int8-v1"), await component.weights(), earlier, origin);
    const weights = await openQuantized(component, "int8", cache);
    const { quantized: location } = weights.locate("transformer_blocks.0.attn1.to_q.weight");
    assert.equal(location?.layout, "columns");
    const { lines } = await quantized(folder, cache, "ls");
    assert.equal(lines.length, 2);
    assert.match(lines[0]!, /tiny\/transformer int8 \(version 1, obsolete\)$/);
    assert.match(lines[1]!, /tiny-alpha-512\/transformer int8$/);
  }));

Deno.test("an incomplete quantization is listed as such and can be removed", () =>
  inFolder(async (folder) => {
    const cache = join(folder, "cache");
    const component = await openComponent(await openDiskSource(TINY), { component: "transformer" });
    const stop = new AbortController();
    await assert.rejects(openQuantized(component, "int8", cache, {
      signal: stop.signal,
      onProgress: ({ done }) => done === 3 && stop.abort(new Error("stopped")),
    }));
    const { lines } = await quantized(folder, cache, "ls");
    assert.match(lines[0]!, /incomplete$/);
    const { status, lines: told } = await quantized(folder, cache, "gc", "--max-size", "0");
    assert.equal(status, 0);
    assert.match(told[0]!, /^Removed [0-9a-f]{64}-/);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(cache)), []);
  }));
