/**
 * Follows docs/tutorial.md as a reader does: saves its files and runs its commands in order, in a folder of
 * its own.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { commandLine, inFolder, storeOf } from "../cli/run_cli.ts";

const ROOT = new URL("../../", import.meta.url);
const TUTORIAL = Deno.readTextFileSync(new URL("docs/tutorial.md", ROOT));

/** A code block, and the sentence or comment before it. */
const BLOCK = /([^\n]+)\n\n```(\w+)[^\n]*\n(.*?)^```/gms;

/** Returns a command as it runs outside of the repository's folder, with a port that is free. */
function shellCommand(command: string, port: number): string {
  const program = commandLine().map((word) => `'${word}'`).join(" ");
  return command.replaceAll("deno task", program).replaceAll("deno run", `'${Deno.execPath()}' run`)
    .replaceAll("127.0.0.1:8000", `127.0.0.1:${port}`)
    .replace(/( serve .*)$/m, `$1 --port ${port}`);
}

/** Returns a port that no program uses. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Waits until a server answers. */
async function answers(url: string): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const reply = await fetch(url).catch(() => undefined);
    await reply?.body?.cancel();
    if (reply?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`Nothing answers at ${url}`);
}

Deno.test("the tutorial's files and commands work in the order in which they are read", async () => {
  await inFolder(async (folder) => {
    const port = freePort();
    const start = (command: string, streams: "piped" | "null"): Deno.ChildProcess =>
      new Deno.Command("sh", {
        args: ["-c", `exec ${command}`],
        cwd: folder,
        env: { PIXSTAGE_STORE: storeOf(folder) },
        stdin: "null",
        stdout: streams,
        stderr: streams,
      }).spawn();
    let server: Deno.ChildProcess | undefined;
    try {
      for (const [, before = "", language, code = ""] of TUTORIAL.matchAll(BLOCK)) {
        if (before.startsWith("<!-- not run:")) continue;
        const [, name] = before.match(/as `(.+)`:$/) ?? [];
        if (name) {
          await Deno.writeTextFile(
            join(folder, name),
            code.replaceAll('"./', `"${ROOT}`)
              .replace(`"${ROOT}negative.ts"`, '"./negative.ts"'),
          );
          continue;
        }
        assert.equal(language, "sh", `The tutorial does not say what to do with: ${code}`);
        for (const command of code.replaceAll("\\\n", " ").trim().split("\n")) {
          if (command.startsWith("deno task serve")) {
            server = start(shellCommand(command, port), "null");
            await answers(`http://127.0.0.1:${port}/healthz`);
            continue;
          }
          const { success, stderr } = await start(shellCommand(command, port), "piped").output();
          assert.ok(success, `${command}\n${new TextDecoder().decode(stderr)}`);
        }
      }
      const { data } = JSON.parse(await Deno.readTextFile(join(folder, "reply.json")));
      assert.ok(data[0].b64_json.length > 1000);
      const pixels = async (name: string): Promise<Uint8Array> =>
        (await decodePicture(await Deno.readFile(join(folder, name)))).pixels.data;
      assert.deepEqual(await pixels("cat-2-resumed.png"), await pixels("cat-2.png"));
      assert.notDeepEqual(await pixels("negative.png"), await pixels("cat.png"));
    } finally {
      server?.kill("SIGTERM");
      await server?.status;
    }
  });
});
