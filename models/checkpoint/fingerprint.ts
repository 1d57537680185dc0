// This module is browser compatible.

/**
 * Fingerprints of components for cache keys, computed without reading all weights.
 *
 * @module
 */

import { LENGTH_BYTES, LONGEST_HEADER } from "../../artifacts/safetensors_header.ts";
import type { Component } from "./component.ts";
import { type CheckpointSource, joinPath } from "./source.ts";

const SAMPLE_BYTES = 4096;
const SAMPLES_PER_FILE = 64;

/**
 * Computes the fingerprint of a component: SHA-256 over its class, its `config.json`, and the name, size and
 * header of each safetensors file with 64 evenly spaced 4 KiB samples of its data, including the first and
 * last 4 KiB. It reads at most the header and 256 KiB per file, so 20 GB take milliseconds.
 *
 * The fingerprint does not depend on location or modification time, so copies share it. Weights that differ
 * in only a few bytes can share it too: it distinguishes models but does not prove that a file is intact.
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
  // Digests have a fixed length, so different lists of parts cannot concatenate to the same bytes.
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

/** Returns the offsets of the samples. They cover small files completely. */
function sampleStarts(start: number, end: number): readonly number[] {
  const last = Math.max(start, end - SAMPLE_BYTES);
  const count = Math.min(SAMPLES_PER_FILE, Math.ceil((end - start) / SAMPLE_BYTES));
  if (count < 2) return count === 1 ? [start] : [];
  return Array.from({ length: count }, (_, i) => start + Math.floor((last - start) * i / (count - 1)));
}

function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(value);
}
