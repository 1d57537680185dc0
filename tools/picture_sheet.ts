/**
 * Draws docs/pictures.png: a picture of the embedded model, repainted at four strengths, and repainted in
 * part.
 *
 *     deno run $(deno run -q cli/permissions.ts writer) tools/picture_sheet.ts [FILE]
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { writeAtomically } from "../disk/atomic_write.ts";
import { encodePicture } from "../images/picture.ts";
import type { Pixels } from "../images/pixels.ts";
import { resizeLanczos } from "../images/resize_lanczos.ts";
import { sideBySide } from "../images/side_by_side.ts";
import { open } from "../local.ts";

const STRENGTHS = [0.3, 0.5, 0.7, 0.9] as const;
/** The side of each picture in the sheet, in pixels. */
const SIDE = 128;
const SIZE = 256;
const GAP = 6;

/** Draws a white disc on black. */
function disc(column: number, row: number, radius: number): Pixels {
  const data = new Uint8Array(3 * SIZE * SIZE);
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      if (Math.hypot(x - column, y - row) <= radius) {
        data.fill(255, (y * SIZE + x) * 3, (y * SIZE + x) * 3 + 3);
      }
    }
  }
  return { width: SIZE, height: SIZE, data };
}

/** Places pictures next to one another at a small size. */
function rowOf(pictures: readonly Pixels[]): Pixels {
  return pictures.map((picture) => resizeLanczos(picture, SIDE, SIDE))
    .reduce((row, picture) => sideBySide(row, picture, { gap: GAP }));
}

/** Stacks rows on white. */
function stack(rows: readonly Pixels[]): Pixels {
  const width = Math.max(...rows.map((row) => row.width));
  const height = rows.length * (SIDE + GAP) - GAP;
  const data = new Uint8Array(3 * width * height).fill(255);
  for (const [index, row] of rows.entries()) {
    for (let y = 0; y < SIDE; y++) {
      const line = row.data.subarray(y * row.width * 3, (y + 1) * row.width * 3);
      data.set(line, (index * (SIDE + GAP) + y) * width * 3);
    }
  }
  return { width, height, data };
}

await using pix = await open({ store: false });
const [cat] = await pix.generate({ prompt: "cute cat", seed: 0 });
const anew: Pixels[] = [cat!.pixels];
for (const strength of STRENGTHS) {
  const [picture] = await pix.generate({ prompt: "a penguin", image: cat, strength, seed: 0 });
  anew.push(picture!.pixels);
}
const mask = disc(140, 160, 80);
const [repainted] = await pix.generate({
  prompt: "a blue cat",
  image: cat,
  mask,
  seed: 0,
});
const sheet = stack([rowOf(anew), rowOf([cat!.pixels, mask, repainted!.pixels])]);
const target = Deno.args[0] ?? fileURLToPath(new URL("../docs/pictures.png", import.meta.url));
await writeAtomically(target, [await encodePicture(sheet, { format: "png" })]);
