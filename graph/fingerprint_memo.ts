/**
 * A memo of component fingerprints. Computing a fingerprint reads pieces all over each weight file. The memo
 * makes that unnecessary as long as the names, sizes and times of the files stay the same.
 *
 * @module
 */

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeAtomically } from "../disk/atomic_write.ts";
import { openRecord, sealRecord } from "../artifacts/store/sealed_record.ts";
import type { Component } from "../models/checkpoint/component.ts";
import { fingerprint } from "../models/checkpoint/fingerprint.ts";
import { joinPath } from "../models/checkpoint/source.ts";
import { hashJson } from "../artifacts/canonical_json.ts";

/**
 * Returns a function that computes fingerprints and remembers them.
 *
 * @param folder The store's folder. The memo is its subfolder `fingerprints`.
 * @returns A function with the same result as {@linkcode fingerprint}.
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
    // A read-only store only costs time.
    await writeAtomically(path, [await sealRecord({ fingerprint: computed })]).catch(() => {});
    return computed;
  };
}

/**
 * Returns a stamp that changes whenever a file of the component changes, or `undefined` if its source has no
 * local files.
 */
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
