/**
 * Draws the grid of sample pictures of the embedded model: all of its prompts, seed 0, no selection, made by
 * `gen`.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeAtomically } from "../disk/atomic_write.ts";
import { decodePicture, encodePicture } from "../images/picture.ts";
import { pictureGrid } from "../images/picture_grid.ts";
import type { Pixels } from "../images/pixels.ts";
import { permissionFlags, permissionSet, permittedEnvironment } from "../permissions/permission_sets.ts";

const MODEL = fileURLToPath(new URL("../models/pixstage-emoji/", import.meta.url));
const CLI = fileURLToPath(new URL("../cli.ts", import.meta.url));
const COLUMNS = 8;
const prompts = Deno.readTextFileSync(join(MODEL, "prompts.txt")).trim().split("\n");
const folder = Deno.makeTempDirSync();
try {
  const seeds = prompts.map(() => "0").join(",");
  const output = join(folder, "%03d.png");
  const flags = permissionFlags(permissionSet("pictures"));
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...flags, CLI, "gen", ...prompts, "--seed", seeds, "-o", output, "--no-store"],
    clearEnv: true,
    env: permittedEnvironment(),
    stdout: "null",
  }).output();
  if (!success) Deno.exit(1);
  const cells = await Promise.all(prompts.map(async (_, index) => {
    const name = `${String(index).padStart(3, "0")}.png`;
    return halve((await decodePicture(Deno.readFileSync(join(folder, name)))).pixels);
  }));
  const rows = Array.from(
    { length: Math.ceil(cells.length / COLUMNS) },
    (_, row) => cells.slice(row * COLUMNS, (row + 1) * COLUMNS),
  );
  await writeAtomically(join(MODEL, "samples.png"), [
    await encodePicture(pictureGrid(rows), { format: "png" }),
  ]);
} finally {
  Deno.removeSync(folder, { recursive: true });
}

/** Halves the size of a picture: each pixel is the mean of four. */
function halve({ width, height, data }: Pixels): Pixels {
  const [halfWidth, halfHeight] = [width / 2, height / 2];
  const half = new Uint8Array(halfWidth * halfHeight * 3);
  for (let y = 0; y < halfHeight; y++) {
    for (let x = 0; x < halfWidth; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const at = (2 * y * width + 2 * x) * 3 + channel;
        const sum = data[at]! + data[at + 3]! + data[at + width * 3]! + data[at + width * 3 + 3]!;
        half[(y * halfWidth + x) * 3 + channel] = Math.round(sum / 4);
      }
    }
  }
  return { width: halfWidth, height: halfHeight, data: half };
}
