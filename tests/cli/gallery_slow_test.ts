import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { ssim } from "../../images/similarity.ts";
import { inFolder } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const docs = (name: string): URL => new URL(`../../docs/${name}`, import.meta.url);

/** The commands of the gallery, as words. */
const COMMANDS = (await readFile(docs("gallery.md"), "utf8")).split("\n")
  .filter((line) => line.startsWith("    deno task grid "))
  .map((line) =>
    [...line.matchAll(/(?:[^\s"]|"[^"]*")+/g)].map(([word]) => word.replaceAll('"', "")).slice(2)
  );

const fileOf = (command: readonly string[]): string => command.at(-1)!;

Deno.test("the gallery shows the output of each of its commands, in 300 KB at most", async () => {
  const page = await readFile(docs("gallery.md"), "utf8");
  let bytes = 0;
  for (const command of COMMANDS) {
    assert(page.includes(`](${fileOf(command)})`));
    bytes += (await stat(docs(fileOf(command)))).size;
  }
  assert.equal(COMMANDS.length, 3);
  assert(bytes <= 300_000, `${bytes} bytes`);
});

for (const command of COMMANDS) {
  Deno.test(`docs/${fileOf(command)} is what its command draws`, () =>
    inFolder(async (folder) => {
      const { status, stderr } = await runHere(folder, ...command);
      assert.equal(status, 0, stderr);
      const drawn = await decodePicture(await readFile(join(folder, fileOf(command))));
      const shown = await decodePicture(await readFile(docs(fileOf(command))));
      // Processors round differently, and WebP loses a little.
      assert(ssim(drawn.pixels, shown.pixels) > 0.97);
    }));
}
