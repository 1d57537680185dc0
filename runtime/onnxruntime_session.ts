// This module is browser compatible.

/**
 * A session of ONNX Runtime, native or web. Checks inputs, and converts tensors.
 *
 * @module
 */

import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-common";
import { ARRAY_TYPES, type DType } from "../artifacts/dtype.ts";
import { type Tensor, tensor } from "../artifacts/tensor.ts";
import { isOutOfMemory } from "../errors/foreign_error.ts";
import { InputError, PixstageError, type PixstageErrorOptions } from "../errors/pixstage_error.ts";
import type { ModelGraph, Session } from "./runtime.ts";

/**
 * ONNX Runtime could not open or run a graph. The message names the graph, and `cause` is ONNX Runtime's
 * error.
 */
export class OnnxRuntimeError extends PixstageError<"runtime_failed" | "out_of_memory"> {
  override name = "OnnxRuntimeError";

  /**
   * @param message The graph, and ONNX Runtime's message.
   * @param options The error of ONNX Runtime.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super(isOutOfMemory(options?.cause) ? "out_of_memory" : "runtime_failed", message, options);
  }
}

/** What is told of a session. */
export interface SessionEvents {
  /** Called and awaited at the end of each run, while its tensors are in use. */
  readonly onRun?: () => void | Promise<void>;
  /** Called when the session is released. */
  readonly onRelease?: () => void;
}

/** An open graph. */
export class OnnxRuntimeSession implements Session {
  readonly #graph: string;
  readonly #events: SessionEvents;
  #session: InferenceSession | undefined;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];

  /**
   * @param graph The graph.
   * @param session The library's session for it.
   * @param events Called when the session runs and is released.
   */
  constructor(graph: ModelGraph, session: InferenceSession, events: SessionEvents = {}) {
    this.#graph = graph.name;
    this.#session = session;
    this.#events = events;
    this.inputs = session.inputNames;
    this.outputs = session.outputNames;
  }

  /**
   * Runs the graph.
   *
   * @throws {InputError} if an input is missing or unknown, or has another type or shape.
   * @throws {OnnxRuntimeError} if the session has been released, or ONNX Runtime fails.
   */
  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    const session = this.#session;
    if (session === undefined) {
      throw new OnnxRuntimeError(`Cannot run graph ${this.#graph}: it has been released`);
    }
    const inputs = this.#check(session, feeds);
    let outputs: InferenceSession.ReturnType;
    try {
      outputs = await session.run(inputs);
    } catch (cause) {
      throw new OnnxRuntimeError(`Cannot run graph ${this.#graph}: ${reason(cause)}`, { cause });
    }
    await this.#events.onRun?.();
    return Object.fromEntries(Object.entries(outputs).map(([name, output]) => [name, fromOrt(output)]));
  }

  /** Releases the memory. Further calls do nothing. */
  async release(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    await session.release();
    this.#events.onRelease?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #check(session: InferenceSession, feeds: Readonly<Record<string, Tensor>>): Record<string, OrtTensor> {
    const unknown = Object.keys(feeds).find((name) => !this.inputs.includes(name));
    if (unknown !== undefined) {
      throw new InputError(
        "invalid_value",
        `Cannot run graph ${this.#graph}: it has no input ${unknown}. Its inputs are ${
          this.inputs.join(", ")
        }`,
      );
    }
    const inputs: Record<string, OrtTensor> = {};
    for (const wanted of session.inputMetadata) {
      const { name } = wanted;
      const given = feeds[name];
      if (!wanted.isTensor || given === undefined) {
        throw new InputError("invalid_value", `Cannot run graph ${this.#graph}: input ${name} is missing`);
      }
      if (given.dtype !== wanted.type || !fits(given.shape, wanted.shape)) {
        throw new InputError(
          "invalid_shape",
          `Cannot run graph ${this.#graph}: input ${name} must be ${wanted.type} [${wanted.shape}], ` +
            `but is ${given.dtype} [${given.shape}]`,
        );
      }
      inputs[name] = toOrt(given);
    }
    return inputs;
  }
}

/** Returns ONNX Runtime's message for a fault. */
export function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * Returns the fields that the libraries read. Their own class would turn float16's Uint16Array into a
 * Float16Array, which the Node-API of Deno 2.9.6 does not support.
 */
function toOrt({ dtype, shape, data }: Tensor): OrtTensor {
  return { type: dtype, dims: shape, data, location: "cpu" } as unknown as OrtTensor;
}

/** Returns a tensor over the same bytes. */
function fromOrt({ type, dims, data }: OrtTensor): Tensor {
  const { buffer, byteOffset, length } = data as Exclude<OrtTensor.DataType, string[]>;
  const dtype = type as DType;
  return tensor(dtype, dims, new ARRAY_TYPES[dtype](buffer as ArrayBuffer, byteOffset, length));
}

function fits(shape: readonly number[], wanted: readonly (number | string)[]): boolean {
  return shape.length === wanted.length &&
    shape.every((size, axis) => typeof wanted[axis] === "string" || size === wanted[axis]);
}
