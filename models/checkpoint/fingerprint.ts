// This module is browser compatible.

/**
 * Tells components of checkpoints apart without reading all of their weights, for cache keys.
 *
 * @module
 */

import { LENGTH_BYTES, LONGEST_HEADER } from "../../artifacts/safetensors_header.ts";
import type { Component } from "./component.ts";
import { type CheckpointSource, joinPath } from "./source.ts";

const SAMPLE_BYTES = 4096;
const SAMPLES_PER_FILE = 64;

/**
 * The fingerprint of a component: SHA-256 over its class, its `config.json`, and of each safetensors file its name,
 * its size, its header and 64 evenly spaced pieces of 4 KiB, the first and the last included. Never more than 256 KiB
 * and the header are read of a file, so that it takes milliseconds for 20 GB.
 *
 * A copy of the checkpoint has the same fingerprint, wherever it lies and whenever it was written. Two sets of weights
 * that differ in a few bytes alone can have the same one: it tells models apart, it does not prove that a file is
 * whole.
 *
 * @param component The component.
 * @returns 64 hexadecimal digits.
 */
export async function fingerprint(component: Component): Promise<string> {
  const { source, folder } = component;
  const { paths } = await component.weightFiles();
  const parts: Uint8Array<ArrayBuffer>[] = [
    text(component.className),
    await source.readBytes(joinPath(folder, "config.json")),
  ];
  for (const path of paths) {
    parts.push(...await sampleFile(source, path, path.slice(path.lastIndexOf("/") + 1)));
  }
  // Digests of the parts are of one length, so that no two lists of parts give the same bytes.
  const digests = await Promise.all(parts.map((part) => crypto.subtle.digest("SHA-256", part)));
  const whole = await crypto.subtle.digest("SHA-256", await new Blob(digests).arrayBuffer());
  return [...new Uint8Array(whole)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function sampleFile(
  source: CheckpointSource,
  path: string,
  name: string,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const size = await source.size(path);
  const prefix = await source.readBytes(path, 0, LENGTH_BYTES);
  const headerEnd = LENGTH_BYTES + Number(new DataView(prefix.buffer).getBigUint64(0, true));
  const parts = [
    text(`${name} ${size}`),
    await source.readBytes(path, 0, Math.min(headerEnd, size, LONGEST_HEADER)),
  ];
  for (const start of sampleStarts(headerEnd, size)) {
    parts.push(await source.readBytes(path, start, Math.min(start + SAMPLE_BYTES, size)));
  }
  return parts;
}

/** Where the pieces of the data begin: all of it where it is small. */
function sampleStarts(start: number, end: number): readonly number[] {
  const last = Math.max(start, end - SAMPLE_BYTES);
  const count = Math.min(SAMPLES_PER_FILE, Math.ceil((end - start) / SAMPLE_BYTES));
  if (count < 2) return count === 1 ? [start] : [];
  return Array.from({ length: count }, (_, i) => start + Math.floor((last - start) * i / (count - 1)));
}

function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(value);
}
