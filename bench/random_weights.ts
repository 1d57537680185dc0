/**
 * Weights of a model that nobody trained: a safetensors file of the right size, for timing.
 *
 * @module
 */

import type { Weights } from "../models/checkpoint/weights.ts";

const CHUNK = 1 << 22;

/** Shapes by name, as a model asks for them. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** Finds out which weights a model asks for, by building it on weights that are nowhere. */
export function askedFor(build: (weights: Weights) => void): Shapes {
  const shapes = new Map<string, readonly number[]>();
  build({
    component: "shapes",
    names: [],
    locate(name, shape = []) {
      shapes.set(name, shape);
      return { name, shape, dtype: "float32", folder: "", file: "", offset: 0, length: 0 };
    },
    has: () => false,
    read: () => Promise.reject(new Error("nowhere")),
  });
  return shapes;
}

/** Writes a safetensors file of small random float32 values. */
export async function writeRandomWeights(path: string, shapes: Shapes): Promise<void> {
  let offset = 0;
  const entries = [...shapes].map(([name, shape]) => {
    const start = offset;
    offset += 4 * shape.reduce((count, size) => count * size, 1);
    return [name, { dtype: "F32", shape, data_offsets: [start, offset] }] as const;
  });
  // Real files align their data to 8 bytes with blanks; kernels are slower without it.
  const json = JSON.stringify(Object.fromEntries(entries));
  const header = new TextEncoder().encode(json.padEnd(Math.ceil(json.length / 8) * 8));
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(header.length), true);

  const file = await Deno.open(path, { write: true, create: true, truncate: true });
  const writer = file.writable.getWriter();
  await writer.write(prefix);
  await writer.write(header);
  let state = 1;
  for (let left = offset / 4; left > 0; left -= CHUNK) {
    const values = new Float32Array(Math.min(left, CHUNK));
    for (let i = 0; i < values.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      values[i] = state * 2e-11;
    }
    await writer.write(new Uint8Array(values.buffer));
  }
  await writer.close();
}
