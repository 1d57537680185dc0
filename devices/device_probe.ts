// This module is browser compatible.

/**
 * Tries a device on a layer of attention, and holds what it gives against another device.
 *
 * @module
 */

import { toFloat32 } from "../artifacts/half_precision.ts";
import { tensor } from "../artifacts/tensor.ts";
import { type BuiltGraph, GraphBuilder } from "../models/onnx/graph_builder.ts";
import { DeviceError } from "../runtime/device.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { compareTensors } from "../artifacts/compare_tensors.ts";

/** What a device can do. */
export interface DeviceFacts {
  /** Its name. */
  readonly device: string;
  /** Relative error of a layer of attention in float32 against the reference; absent where it cannot run. */
  readonly float32?: number;
  /** The same in float16; absent where the device has no such arithmetic. */
  readonly float16?: number | undefined;
  /** Why it cannot run. */
  readonly reason?: string;
}

/** Relative errors above these are no rounding: the driver computes something else. */
export const LARGEST_ERRORS = { float32: 1e-4, float16: 1e-2 } as const;

/** Enough rows for the way that attention takes for pictures, not the one for short texts. */
const ROWS = 64;
const HEADS = 2;
/** PixArt's own, which is no power of two. */
const HEAD_SIZE = 72;

/**
 * Tries a device. What it computes is small: the time goes into finding the device.
 *
 * @param runtime The device.
 * @param reference What it is held against: a CPU.
 * @returns What it can do, also where it can do nothing.
 */
export async function probeDevice(runtime: Runtime, reference: Runtime): Promise<DeviceFacts> {
  const { device } = runtime;
  const expected = await attend(reference, "float32");
  const error = async (dtype: "float32" | "float16"): Promise<number> => {
    const { relativeError } = compareTensors(expected, await attend(runtime, dtype));
    return Number.isNaN(relativeError) ? Infinity : relativeError;
  };
  try {
    const float32 = await error("float32");
    // Not every GPU has float16.
    const float16 = await error("float16").catch(() => undefined);
    return { device, float32, float16 };
  } catch (cause) {
    if (cause instanceof DeviceError) return { device, reason: cause.reason };
    return { device, reason: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** A product, and attention to rows that are the same everywhere. */
async function attend(runtime: Runtime, dtype: "float32" | "float16"): Promise<Float32Array> {
  await using session = await runtime.open(attentionGraph(dtype));
  const { y } = await session.run({ x: wave(ROWS, 1), w: wave(HEADS * HEAD_SIZE, 2) });
  return toFloat32(y!).data;
}

function attentionGraph(dtype: "float32" | "float16"): BuiltGraph {
  const width = HEADS * HEAD_SIZE;
  const g = new GraphBuilder();
  const x = g.cast(g.input("x", "float32", ["rows", width]), dtype);
  const w = g.cast(g.input("w", "float32", [width, width]), dtype);
  g.output("y", g.cast(g.attention(g.gemm(x, w), x, x, { heads: HEADS }), "float32"), ["rows", width]);
  return g.build(`attention in ${dtype}`);
}

/** Values between -0.2 and 0.2, so that the scores are as mild as those of a model. */
function wave(rows: number, seed: number) {
  const length = rows * HEADS * HEAD_SIZE;
  const data = Float32Array.from({ length }, (_, index) => 0.2 * Math.sin(seed * index * index));
  return tensor("float32", [rows, HEADS * HEAD_SIZE], data);
}
