// This module is browser compatible.

/**
 * Tests a device with an attention layer, and compares its result with that of another device.
 *
 * @module
 */

import { toFloat32 } from "../artifacts/half_precision.ts";
import { tensor } from "../artifacts/tensor.ts";
import { attention } from "../models/onnx/attention.ts";
import { type BuiltGraph, GraphBuilder } from "../models/onnx/graph_builder.ts";
import { DeviceError } from "../runtime/device.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { compareTensors } from "../artifacts/compare_tensors.ts";

/** The capabilities of a device. */
export interface DeviceFacts {
  /** Name of the device. */
  readonly device: string;
  /**
   * Relative error of an attention layer in float32 against the reference. Absent if the device cannot run.
   */
  readonly float32?: number;
  /** The same in float16. Absent if the device does not support it. */
  readonly float16?: number | undefined;
  /** Why the device cannot run. */
  readonly reason?: string;
  /** What to do about it, if that is known. */
  readonly advice?: string | undefined;
}

/** Relative errors above these are not rounding: the driver computes something else. */
export const LARGEST_ERRORS = { float32: 1e-4, tf32: 1e-3, float16: 1e-2 } as const;

/** Enough rows to select the attention kernel for pictures instead of the one for short texts. */
const ROWS = 64;
const HEADS = 2;
/** PixArt's own head size, which is not a power of two. */
const HEAD_SIZE = 72;

/**
 * Tests a device. The computation is small; most of the time is spent finding the device.
 *
 * @param runtime The device.
 * @param reference The device to compare with: a CPU.
 * @returns What the device can do, even if that is nothing.
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
    // Not every GPU supports float16.
    const float16 = await error("float16").catch(() => undefined);
    return { device, float32, float16 };
  } catch (cause) {
    if (cause instanceof DeviceError) return { device, reason: cause.reason, advice: cause.advice };
    return { device, reason: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** Computes a product, and attention to rows that are the same everywhere. */
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
  g.output("y", g.cast(attention(g, g.gemm(x, w), x, x, { heads: HEADS }), "float32"), ["rows", width]);
  return g.build(`attention in ${dtype}`);
}

/** Returns values between -0.2 and 0.2, which keep the scores as moderate as those of a model. */
function wave(rows: number, seed: number) {
  const length = rows * HEADS * HEAD_SIZE;
  const data = Float32Array.from({ length }, (_, index) => 0.2 * Math.sin(seed * index * index));
  return tensor("float32", [rows, HEADS * HEAD_SIZE], data);
}
