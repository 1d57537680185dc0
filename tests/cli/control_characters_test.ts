import assert from "node:assert/strict";
import { join } from "node:path";
import { writeArtifact } from "../../artifacts/files_on_disk.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { printable } from "../../cli/standard_streams.ts";
import { encodePicture } from "../../images/picture.ts";
import { inFolder } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

/** Sets a terminal's title, clears its screen, and colours it by a control character of one unit. */
const STEERING = "\x1b]0;title\x07\x1b[2J\r\u009b31m\x7f";

/** Returns whether a text contains control characters other than line breaks and tabs. */
const hasControls = (text: string): boolean => /(?![\n\t])\p{Cc}/u.test(text);

Deno.test("printable() escapes only control characters, as JSON does", () => {
  assert.equal(printable("a\x1b[31m\u009b\x7f\r\0"), "a\\u001b[31m\\u009b\\u007f\\u000d\\u0000");
  for (const text of ["line\n\ttab", "हिन्दी 👩‍👩‍👧 é \u200f"]) assert.equal(printable(text), text);
  const value = { text: STEERING, [STEERING]: 1 };
  assert.deepEqual(JSON.parse(printable(JSON.stringify(value))), value);
});

Deno.test("inspect prints no control characters of pictures, artifacts, checkpoints and faulty files", async () => {
  await inFolder(async (folder) => {
    const pixels = { width: 8, height: 8, data: new Uint8Array(8 * 8 * 3) };
    const metadata = { parameters: `${STEERING}\nSteps: 2`, Software: STEERING };
    await Deno.writeFile(join(folder, "cat.png"), await encodePicture(pixels, { format: "png", metadata }));
    const values = tensor("float32", [1], Float32Array.of(1));
    await writeArtifact(join(folder, "a.safetensors"), {
      kind: "latents",
      tensors: { latents: values, [`${STEERING}\nkind: image`]: values },
      metadata: { prompts: [STEERING], [STEERING]: STEERING },
    });
    const header = new TextEncoder().encode(`{"${STEERING}": no JSON`);
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
    await Deno.writeFile(join(folder, "faulty.safetensors"), new Uint8Array([...length, ...header]));
    await Deno.mkdir(join(folder, "checkpoint"));
    await Deno.writeTextFile(
      join(folder, "checkpoint", "model_index.json"),
      JSON.stringify({ _class_name: `${STEERING}Pipeline` }),
    );
    for (const name of ["cat.png", "a.safetensors", "faulty.safetensors", "checkpoint"]) {
      for (const flags of [[], ["--json"]]) {
        const { stdout, stderr } = await runHere(folder, "inspect", name, ...flags);
        assert.ok(!hasControls(stdout + stderr), `${name}: ${JSON.stringify(stdout + stderr)}`);
        assert.match(stdout + stderr, /\\u001b\]0;title/, name);
      }
    }
    const shown = (await runHere(folder, "inspect", "a.safetensors")).stdout;
    assert.equal(shown.match(/^ *kind: /gm)?.length, 1, "a name with a line break is one entry");
    const { parameters } = JSON.parse((await runHere(folder, "inspect", "cat.png", "--json")).stdout);
    assert.equal(parameters, metadata.parameters);
  });
});
