import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { inFolder, runCli } from "../cli/run_cli.ts";
import { needing } from "../needing.ts";
import { BUILDER, ImageBuilder, type Output } from "./image_builder.ts";

const CONTAINERFILE = fileURLToPath(new URL("../../container/Containerfile", import.meta.url));
const CAT = ["gen", "cute cat", "--seed", "1"];

const execute = promisify(execFile);

/** Checks that a command failed, and that its output says why. */
async function assertFails(command: Promise<Output>, pattern: RegExp): Promise<void> {
  await assert.rejects(command, ({ stderr }: Output) => pattern.test(stderr));
}

Deno.test(needing(BUILDER, {
  name:
    "the image is built, runs as its user within its volumes, and gives the bytes that Deno gives outside",
  fn: (test) =>
    inFolder(async (folder) => {
      const builder = new ImageBuilder(join(folder, "builder"));
      const source = await readFile(CONTAINERFILE, "utf8");
      const version = (name: string): string => new RegExp(`ARG ${name}=(\\S+)`).exec(source)![1]!;
      await builder.makeBases(version("DEBIAN"), version("DENO_VERSION"));
      await builder.build("pixstage", "cpu");

      const config = await builder.configOf("pixstage");
      await test.step("its user, volumes, port and command", () => {
        assert.equal(config.User, "pixstage");
        assert.deepEqual(Object.keys(config.Volumes).sort(), ["/models", "/store"]);
        assert.deepEqual(Object.keys(config.ExposedPorts), ["8000/tcp"]);
        assert.deepEqual(config.Cmd, ["serve", "--host", "0.0.0.0"]);
      });

      const container = (await builder.run("from", "--pull-never", "pixstage")).stdout.trim();
      const inside = ["run", "--isolation", "chroot", "--network", "host"];
      const run = (...args: string[]) => builder.run(...inside, container, "--", ...args);
      const pixstage = (...args: string[]) => run(...config.Entrypoint, ...args);

      await test.step("its user owns the volumes, and cannot write elsewhere", async () => {
        assert.match((await run("id")).stdout, /^uid=10001\(pixstage\) gid=10001\(pixstage\)/);
        await run("touch", "/store/file", "/models/file");
        for (const path of ["/usr/file", "/opt/file", "/usr/local/bin/deno"]) {
          await assertFails(run("touch", path), /Permission denied/);
        }
      });

      await test.step("gen", async () => {
        await pixstage(...CAT, "-o", "/store/cat.png");
        const { stdout } = await run("base64", "-w0", "/store/cat.png");
        const { status, stderr } = await runCli(folder, ...CAT, "-o", "deno.png");
        assert.equal(status, 0, stderr);
        assert.deepEqual(
          Uint8Array.fromBase64(stdout),
          new Uint8Array(await readFile(join(folder, "deno.png"))),
        );
      });

      await test.step("files outside of the volumes are refused", async () => {
        await assertFails(
          pixstage(...CAT, "-o", "/var/cat.png"),
          /^error: .*"\/var\/cat\.png" because Deno does not/,
        );
      });

      await test.step("the server does not start without a key", async () => {
        await assertFails(pixstage(...config.Cmd), /^error: .*PIXSTAGE_API_KEY/);
      });

      await test.step("the health check fails before the server runs, and passes then", async () => {
        const [kind, ...check] = config.Healthcheck.Test;
        assert.equal(kind, "CMD");
        // A network of their own, because the port is fixed.
        const script = `ip link set lo up
          serve=$1 check=$2
          eval "$check" 2>/dev/null && exit 1
          eval "exec $serve" >&2 & server=$!
          for attempt in $(seq 60); do
            sleep 1
            eval "$check" 2>/dev/null && break
          done
          kill $server
          [ "$attempt" -lt 60 ]`;
        const key = ["--env", "PIXSTAGE_API_KEY=secret"];
        const command = (...args: string[]): string =>
          builder.line(...inside, ...key, container, "--", ...args).map(quoted).join(" ");
        const lines = [command(...config.Entrypoint, ...config.Cmd), command(...check)];
        await execute("unshare", ["--net", "sh", "-c", script, "sh", ...lines]);
      });

      await builder.run("rm", container);
    }),
}));

/** Quotes a word for the shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
