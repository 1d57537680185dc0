/**
 * Runs the commands of the README as a reader does: in order, in one folder, as tasks with their own
 * permissions. A local hub stands in for the real one, with a tiny checkpoint under the names of the README.
 *
 * @module
 */

import assert from "node:assert/strict";
import { cp, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { writeSyntheticCheckpoint } from "../../models/synthetic/write_checkpoint.ts";
import { inFolder, storeOf, taskLine, TINY } from "../cli/run_cli.ts";
import { startHub } from "../hub/hub_server.ts";
import { documentBlocks, ROOT } from "./code_blocks.ts";
import { commandsOf } from "./shell_commands.ts";

/** The models that the README's commands download. The student brings a scheduler that can take one step. */
const BASE = "PixArt-alpha/PixArt-XL-2-512x512";
const STUDENT = "PixArt-alpha/PixArt-Alpha-DMD-XL-2-512x512";

const SCHEDULER = "scheduler/scheduler_config.json";

/** Tasks that serve until they are stopped. */
const SERVERS = /^deno task (?:serve|browser)\b/;

/** The commands that the README does not mark. */
const COMMANDS = documentBlocks()
  .filter(({ file, language, reason }) => file === "README.md" && language === "" && reason === undefined)
  .flatMap(({ code }) => commandsOf(code));

/** Stands in for ImageMagick: writes the picture that it gets from the standard input. */
const MAGICK = '#!/bin/sh\n[ "$1" = - ] && exec cat > "$2"\n';

/** Waits for the address that a server prints, and asks it for its page. */
async function servesPage(process: Deno.ChildProcess): Promise<void> {
  let printed = "";
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    printed += text;
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(printed) ?? [];
    if (url === undefined) continue;
    const reply = await fetch(url);
    assert.match(await reply.text(), /<html/i, url);
    return;
  }
  assert.fail(`The server ended: ${printed}`);
}

Deno.test({
  name: "the commands of the README work in the order in which they are read",
  // The README's commands are written for a POSIX shell.
  ignore: Deno.build.os === "windows",
  async fn(test) {
    assert(COMMANDS.length > 20, `${COMMANDS.length} commands`);
    await inFolder(async (folder) => {
      const student = join(folder, "student");
      await cp(TINY, student, { recursive: true });
      const config = await readFile(join(TINY, SCHEDULER), "utf8");
      await writeFile(
        join(student, SCHEDULER),
        config.replace("DPMSolverMultistepScheduler", "DDPMScheduler"),
      );
      await using hub = startHub({ models: { [BASE]: { main: TINY }, [STUDENT]: { main: student } } });
      await Deno.symlink(join(ROOT, "examples"), join(folder, "examples"));
      await writeSyntheticCheckpoint(join(folder, "PixArt-XL-2-1024-MS"), { preset: "tiny" });
      await Deno.mkdir(join(folder, "bin"));
      await Deno.writeTextFile(join(folder, "bin/magick"), MAGICK, { mode: 0o755 });
      const task = taskLine().map((word) => `'${word}'`).join(" ");
      const start = (command: string): Deno.ChildProcess =>
        new Deno.Command("sh", {
          args: ["-c", command.replaceAll("deno task", task)],
          cwd: folder,
          env: {
            INIT_CWD: folder,
            HF_ENDPOINT: hub.endpoint,
            HF_HUB_CACHE: join(folder, "hub"),
            HF_TOKEN: "",
            PATH: `${join(folder, "bin")}:${Deno.env.get("PATH")}`,
            PIXSTAGE_QUANTIZED: join(folder, "quantized"),
            PIXSTAGE_STORE: storeOf(folder),
          },
          stdin: "null",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
      for (const command of COMMANDS) {
        await test.step(command, async () => {
          if (!SERVERS.test(command)) {
            const { success, stderr } = await start(command).output();
            assert(success, new TextDecoder().decode(stderr));
            return;
          }
          await using server = start(`exec ${command.replace(SERVERS, "$& --port 0")} 2>&1`);
          await servesPage(server);
        });
      }
      const formatOf = async (name: string): Promise<string> =>
        (await decodePicture(await readFile(join(folder, name)))).format;
      assert.equal(await formatOf("cute-cat-0.png"), "png");
      assert.equal(await formatOf("cat.tiff"), "png", "what the pipe carries");
      for (const n of [0, 1, 2, 3]) assert.equal(await formatOf(`car-00${n}.webp`), "webp");
      assert((await stat(join(folder, "castle.embeds.safetensors"))).size > 1000);
    });
  },
});
