import assert from "node:assert/strict";
import { join } from "node:path";
import { textToImage } from "../../graph/text_to_image.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

Deno.test("run reads a graph with a byte order mark, and refuses one that is not UTF-8", async () => {
  await inFolder(async (folder) => {
    const graph = JSON.stringify(textToImage({ prompts: ["café"], model: TINY }));
    await Deno.writeTextFile(join(folder, "marked.json"), `\uFEFF${graph}`);
    const { status, stdout, stderr } = await runHere(folder, "run", "marked.json", "--print-graph");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /"café"/);
    const latin = Uint8Array.from(graph, (character) => character.charCodeAt(0));
    await Deno.writeFile(join(folder, "latin.json"), latin);
    const refused = await runHere(folder, "run", "latin.json", "--print-graph");
    assert.match(
      refused.stderr,
      /^error: Cannot read ".*latin\.json" because it is not UTF-8 text: save it as UTF-8\n$/,
    );
    assert.equal(refused.status, 2);
  });
});
