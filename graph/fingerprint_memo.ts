/**
 * Fingerprints of components that were computed before. Computing one reads pieces all over each file of weights; as long
 * as name, size and times of the files are the same, it need not be done again.
 *
 * @module
 */

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeAtomically } from "../artifacts/atomically.ts";
import { openRecord, sealRecord } from "../artifacts/store/sealed_record.ts";
import type { Component } from "../models/checkpoint/component.ts";
import { fingerprint } from "../models/checkpoint/fingerprint.ts";
import { joinPath } from "../models/checkpoint/source.ts";
import { hashJson } from "../artifacts/canonical_json.ts";

/**
 * Makes a function that computes fingerprints and remembers them.
 *
 * @param folder The store's folder; what is remembered lies in its `fingerprints`.
 * @returns The function; it gives what {@linkcode fingerprint} gives.
 */
export function rememberedFingerprint(folder: string): (component: Component) => Promise<string> {
  return async (component) => {
    const stamp = await stampOf(component);
    if (stamp === undefined) return await fingerprint(component);
    const path = join(folder, "fingerprints", `${stamp}.json`);
    const bytes = await readFile(path).catch(() => undefined);
    const known = bytes && (await openRecord(bytes))?.["fingerprint"];
    if (typeof known === "string") return known;
    const computed = await fingerprint(component);
    // A store that cannot be written costs time and nothing else.
    await writeAtomically(path, [await sealRecord({ fingerprint: computed })]).catch(() => {});
    return computed;
  };
}

/** Tells the files of a component apart from other files, and from themselves before a change. */
async function stampOf({ source, folder, className, weightFiles }: Component): Promise<string | undefined> {
  const { locate } = source;
  if (!locate) return undefined;
  const { paths } = await weightFiles();
  const files = await Promise.all([joinPath(folder, "config.json"), ...paths].map(async (path) => {
    const { folder, file } = await locate.call(source, path);
    const { size, mtimeMs, ctimeMs, ino } = await stat(join(folder, file));
    return { path, folder, file, size, mtimeMs, ctimeMs, ino };
  }));
  return await hashJson({ className, files });
}
