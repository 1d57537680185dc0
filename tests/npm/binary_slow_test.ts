import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, runTask } from "../cli/run_cli.ts";
import { needing } from "../needing.ts";
import { servedCat, withServer } from "./package_server.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CAT = ["gen", "cute cat", "--seed", "1", "--no-store"];

const execute = promisify(execFile);
const hasNpm = await execute("npm", ["--version"]).then(() => true, () => false);

Deno.test(needing({ what: "npm", isThere: hasNpm }, {
  name: "the single binary runs in an empty home without Deno and Node, and gives the bytes that Deno gives",
  fn: (test) =>
    inFolder(async (folder) => {
      const place = (name: string) => join(folder, name);
      const binary = place("pixstage");
      await execute(process.execPath, ["task", "binary", "--output", binary], { cwd: ROOT });
      for (const name of ["home", "no programs"]) await mkdir(place(name));
      const options = { cwd: folder, env: { HOME: place("home"), PATH: place("no programs") } };
      const run = (...args: string[]) => execute(binary, args, options);

      await test.step("two first starts at once unpack one folder", async () => {
        const told = await Promise.all([run("--version"), run("--version")]);
        for (const { stdout } of told) assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
        assert.equal((await readdir(place("home/.cache/pixstage/binary"))).length, 1);
      });
      const [id] = await readdir(place("home/.cache/pixstage/binary"));
      const unpacked = join(place("home/.cache/pixstage/binary"), id!);

      await test.step("gen, in each executor", async () => {
        const { status, stderr } = await runTask(folder, {}, ...CAT, "-o", "deno.png");
        assert.equal(status, 0, stderr);
        for (const executor of ["inline", "worker", "process"]) {
          await run(...CAT, "--executor", `denoise=${executor}`, "-o", `${executor}.png`);
          assert.deepEqual(
            await readFile(place(`${executor}.png`)),
            await readFile(place("deno.png")),
            executor,
          );
        }
      });

      await test.step("later starts unpack nothing, unless a file is missing or cut off", async () => {
        const main = join(unpacked, "node_modules/@pixstage/pixstage/dist/bin.js");
        const { ino } = await stat(main);
        await run("--version");
        assert.equal((await stat(main)).ino, ino);
        await truncate(main, 10);
        await run("--version");
        await rm(join(unpacked, "node_modules/onnxruntime-node"), { recursive: true });
        await run(...CAT, "-o", "again.png");
        assert.deepEqual(await readFile(place("again.png")), await readFile(place("deno.png")));
      });

      await test.step("serve, with the studio page", async () => {
        await withServer([binary, "serve", "--port", "0"], options, async (url) => {
          const made = await decodePicture(Uint8Array.from(await readFile(place("deno.png"))));
          assert.deepEqual((await servedCat(url)).data, made.pixels.data);
          for (const path of ["/", "/studio/server/studio/page/main.ts"]) {
            const { status, body } = await fetch(url + path);
            assert.equal(status, 200, path);
            await body?.cancel();
          }
        });
      });

      await test.step("devices", async () => {
        // A GPU in software would take minutes.
        const env = { ...options.env, VK_DRIVER_FILES: "none" };
        const { stdout } = await execute(binary, ["devices"], { ...options, env });
        assert.match(stdout, /^cpu +float32 off by /);
      });

      await test.step("a home that nothing can be written to is an error of one line", async () => {
        await writeFile(place("file"), "");
        const env = { ...options.env, HOME: place("file") };
        await assert.rejects(
          execute(binary, ["--version"], { ...options, env }),
          ({ code, stderr }: { code: number; stderr: string }) =>
            code === 1 && /^error: Cannot unpack pixstage into "[^"]+": ENOTDIR[^\n]+\n$/.test(stderr),
        );
      });
    }),
}));
