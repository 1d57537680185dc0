/**
 * Reads the float32 and uint8 tensors of a reference file, without the product's own safetensors reader.
 *
 * @module
 */

import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import { goldenPath } from "../goldens.ts";

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** The tensors of a file, by name. */
export interface GoldenTensors {
  float32(name: string): Tensor<"float32">;
  uint8(name: string): Tensor<"uint8">;
}

/** Opens a safetensors file of the goldens. */
export function goldenTensors(path: string): GoldenTensors {
  const bytes = Deno.readFileSync(goldenPath(path));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header: Record<string, Entry> = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const find = (name: string) => {
    const { shape, data_offsets: [start, end] } = header[name]!;
    return { shape, buffer: bytes.slice(8 + length + start, 8 + length + end).buffer };
  };
  return {
    float32(name) {
      const { shape, buffer } = find(name);
      return tensor("float32", shape, new Float32Array(buffer));
    },
    uint8(name) {
      const { shape, buffer } = find(name);
      return tensor("uint8", shape, new Uint8Array(buffer));
    },
  };
}
