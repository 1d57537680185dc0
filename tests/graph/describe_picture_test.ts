import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, TINY } from "../cli/run_cli.ts";
import { runHere } from "../cli/run_here.ts";

Deno.test("a picture's settings quote text that readers would take for another setting", () =>
  inFolder(async (folder) => {
    const model = join(folder, "m, Seed: 5");
    await cp(TINY, model, { recursive: true });
    const small = ["-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "2", "--no-store"];
    const { status, stderr } = await runHere(
      folder,
      "gen",
      "cat",
      "-m",
      model,
      "-s",
      "7",
      ...small,
      "-o",
      "a.png",
    );
    assert.equal(status, 0, stderr);
    const { metadata } = await decodePicture(await Deno.readFile(join(folder, "a.png")));
    assert.match(metadata["parameters"]!, /, Seed: 7, Size: 64x48, Model: "m, Seed: 5"$/);
  }));
