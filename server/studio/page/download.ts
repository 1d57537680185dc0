/// <reference lib="dom" />
/**
 * Saves pictures, one as a PNG file or several as a ZIP file.
 *
 * @module
 */

import { zipSync } from "fflate";
import { attempt } from "./attempt.ts";
import { pictureFile } from "./server.ts";
import { settingsOfPicture } from "./settings.ts";
import { notice } from "./state.ts";
import type { Job, Picture } from "./types.ts";

/** Returns the file name of a picture, made of its prompt and seed. */
export function fileName(picture: Picture): string {
  const prompt = settingsOfPicture(picture)?.prompt ?? "";
  const words = [...prompt.replaceAll(/[^\p{L}\p{M}\p{N}]+/gu, "-")].slice(0, 40).join("");
  return `${words || "picture"}-${picture.job.images[picture.index]?.seed ?? "0"}.png`;
}

/** Saves all pictures of several jobs in one file. */
export async function downloadAll(jobs: readonly Job[], name: string): Promise<void> {
  await attempt(async () => {
    const pictures = jobs.flatMap((job) => job.images.map((image, index) => ({ image, job, index })));
    const files: Record<string, Uint8Array<ArrayBuffer>> = {};
    for (const [number, { image, ...picture }] of pictures.entries()) {
      notice.value = `Downloading picture ${number + 1} of ${pictures.length}`;
      files[freeName(fileName(picture), files)] = await pictureFile(image);
    }
    notice.value = "";
    // PNG files are already compressed.
    save(new Blob([zipSync(files, { level: 0 })], { type: "application/zip" }), `${name}.zip`);
  });
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser may read the URL later.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function freeName(name: string, taken: Readonly<Record<string, unknown>>): string {
  for (let number = 1;; number++) {
    const free = number === 1 ? name : name.replace(/\.png$/, `-${number}.png`);
    if (!Object.hasOwn(taken, free)) return free;
  }
}
