// This module is browser compatible.

/**
 * Fingerprints of components for cache keys, computed without reading all weights.
 *
 * @module
 */

import { LENGTH_BYTES, LONGEST_HEADER } from "../../artifacts/safetensors_header.ts";
import type { Component } from "./component.ts";
import { type CheckpointSource, joinPath } from "./source.ts";

/** Files with at most this many bytes of data are read completely. */
const SMALL_FILE_BYTES = 16 * 2 ** 20;
const SAMPLE_BYTES = 4096;
const SAMPLES_PER_FILE = 64;

/**
 * Computes the fingerprint of a component: SHA-256 over its class, its `config.json`, and the name, size,
 * header and data of each safetensors file. Of data beyond 16 MiB, it reads 64 evenly spaced samples of
 * 4 KiB, including the first and last 4 KiB, so 20 GB take milliseconds.
 *
 * The fingerprint does not depend on location or modification time, so copies share it. Files beyond 16 MiB
 * that differ in only a few bytes can share it too: it distinguishes models but does not prove that a file is
 * intact.
 *
 * @param component The component.
 * @returns 64 hexadecimal digits.
 */
export async function fingerprint(component: Component): Promise<string> {
  const { source, folder } = component;
  const { paths } = await component.weightFiles();
  // Digests have a fixed length, so different lists of parts cannot concatenate to the same bytes.
  const digests = [
    await sha256(text(component.className)),
    await sha256(await source.readBytes(joinPath(folder, "config.json"))),
  ];
  for (const path of paths) {
    digests.push(...await sampleFile(source, path, path.slice(path.lastIndexOf("/") + 1)));
  }
  const whole = await crypto.subtle.digest("SHA-256", await new Blob(digests).arrayBuffer());
  return [...new Uint8Array(whole)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns the digests of a file's name and size, its header, and its data or samples of it. */
async function sampleFile(source: CheckpointSource, path: string, name: string): Promise<ArrayBuffer[]> {
  const size = await source.size(path);
  const prefix = await source.readBytes(path, 0, LENGTH_BYTES);
  const headerEnd = LENGTH_BYTES + Number(new DataView(prefix.buffer).getBigUint64(0, true));
  const digests = [
    await sha256(text(`${name} ${size}`)),
    await sha256(await source.readBytes(path, 0, Math.min(headerEnd, size, LONGEST_HEADER))),
  ];
  for (const [start, end] of sampledRanges(headerEnd, size)) {
    digests.push(await sha256(await source.readBytes(path, start, end)));
  }
  return digests;
}

/** Returns the ranges of a file's data to read: all of it if it is small, else evenly spaced samples. */
function sampledRanges(start: number, end: number): readonly (readonly [start: number, end: number])[] {
  if (start >= end) return [];
  if (end - start <= SMALL_FILE_BYTES) return [[start, end]];
  const distance = (end - SAMPLE_BYTES - start) / (SAMPLES_PER_FILE - 1);
  return Array.from({ length: SAMPLES_PER_FILE }, (_, index) => {
    const offset = start + Math.floor(distance * index);
    return [offset, offset + SAMPLE_BYTES];
  });
}

function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", bytes);
}

function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(value);
}
