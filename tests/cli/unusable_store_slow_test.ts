import assert from "node:assert/strict";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inFolder, startUnprivilegedWith, TINY, UNPRIVILEGED_USER } from "./run_cli.ts";
import { needing } from "../needing.ts";

const CAT = [
  "gen",
  "cute cat",
  "-m",
  TINY,
  "-W",
  "64",
  "-H",
  "48",
  "--steps",
  "2",
  "--no-resolution-binning",
];

/** Deno's module cache, outside of the tested home folders. */
const DENO_DIR = JSON.parse(
  new TextDecoder().decode(
    new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync().stdout,
  ),
).denoDir;

interface Printed {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command with another home folder. Permissions apply to it. */
async function runAtHome(
  folder: string,
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<Printed> {
  const home = {
    DENO_DIR,
    PIXSTAGE_STORE: "",
    PIXSTAGE_QUANTIZED: "",
    XDG_CACHE_HOME: "",
    HF_HOME: "",
    ...env,
  };
  const { code, stdout, stderr } = await startUnprivilegedWith(folder, home, ...args).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { status: code, stdout: text(stdout), stderr: text(stderr) };
}

/** Home folders in which nothing can be stored. */
const HOMES:
  readonly (readonly [name: string, env: (folder: string) => Promise<Readonly<Record<string, string>>>])[] = [
    ["a read-only HOME", async (folder) => ({ HOME: await locked(folder, 0o555) })],
    ["an unreadable HOME", async (folder) => ({ HOME: await locked(folder, 0o000) })],
    [
      "a read-only XDG_CACHE_HOME",
      async (folder) => ({ XDG_CACHE_HOME: await locked(folder, 0o555) }),
    ],
    [
      "an unreadable XDG_CACHE_HOME",
      async (folder) => ({ XDG_CACHE_HOME: await locked(folder, 0o000) }),
    ],
    ["a file as XDG_CACHE_HOME", async (folder) => {
      const path = join(folder, "home");
      await writeFile(path, "");
      return { XDG_CACHE_HOME: path };
    }],
  ];

/** Creates a folder with a mode. */
async function locked(folder: string, mode: number): Promise<string> {
  const path = join(folder, "home");
  await mkdir(path);
  await chmod(path, mode);
  return path;
}

for (const [name, homeIn] of HOMES) {
  Deno.test(needing(UNPRIVILEGED_USER, {
    name: `gen makes the picture and warns once: ${name}`,
    fn: () =>
      inFolder(async (folder) => {
        const env = await homeIn(folder);
        const plain = await runAtHome(folder, env, ...CAT, "-o", "cat.png");
        assert.equal(plain.status, 0, plain.stderr);
        assert.match(
          plain.stderr,
          /^warning: The results of this run are not stored: Cannot write ".*pixstage.store" because .*--store, or run with --no-store\n$/,
        );
        for (const executor of ["worker", "process"]) {
          const elsewhere = await runAtHome(folder, env, ...CAT, "--executor", executor, "-o", "again.png");
          assert.equal(elsewhere.status, 0, elsewhere.stderr);
          assert.equal(elsewhere.stderr, plain.stderr);
          assert.deepEqual(
            await readFile(join(folder, "again.png")),
            await readFile(join(folder, "cat.png")),
          );
        }
        const { stderr } = await runAtHome(folder, env, ...CAT, "--no-store", "-o", "again.png");
        assert.equal(stderr, "");
        const quantized = await runAtHome(
          folder,
          env,
          ...CAT,
          "--no-store",
          "--precision",
          "int8",
          "-o",
          "x.png",
        );
        assert.match(
          quantized.stderr,
          /^error: Cannot write ".*" because .*\. Set PIXSTAGE_QUANTIZED to another folder/,
        );
        assert.match(
          (await runAtHome(folder, env, "serve", "--port", "0")).stderr,
          /^error: Cannot write ".*pixstage.store" because .*The server needs this folder for jobs and artifacts: .*--store\n$/,
        );
        // Without this, the folder could not be removed.
        await chmod(join(folder, "home"), 0o755);
      }),
  }));
}

Deno.test(needing(UNPRIVILEGED_USER, {
  name: "a read-only store is read, and one warning says that results are not stored",
  fn: () =>
    inFolder(async (folder) => {
      const env = { HOME: folder };
      const store = join(folder, "store");
      const run = (...args: string[]) => runAtHome(folder, env, ...args, "--store", store);
      assert.equal((await run(...CAT, "-o", "cat.png")).stderr, "");
      await chmod(store, 0o555);
      const before = await Array.fromAsync(Deno.readDir(store), ({ name }) => name);
      const again = await run(...CAT, "--json", "-o", "again.png");
      assert.equal(again.status, 0, again.stderr);
      assert.equal(again.stdout.match(/stage:cached/g)?.length, 4);
      assert.equal(again.stdout.match(/"warning"/g)?.length, 1);
      const id = /"port":"latents","id":"([0-9a-f]{12})/.exec(again.stdout)?.[1];
      const resumed = await run("resume", id!, "-o", "resumed.png");
      assert.equal(resumed.status, 0, resumed.stderr);
      assert.deepEqual(await Array.fromAsync(Deno.readDir(store), ({ name }) => name), before);
      await chmod(store, 0o000);
      const listed = await run("store", "ls");
      assert.equal(listed.status, 1);
      assert.match(listed.stderr, /^error: Cannot read ".*artifacts" because permission is missing/);
      await chmod(store, 0o755);
    }),
}));

Deno.test(needing(UNPRIVILEGED_USER, {
  name: "an unreadable entry of the store counts as absent, and a warning names it",
  fn: () =>
    inFolder(async (folder) => {
      const store = join(folder, "store");
      const run = (...args: string[]) => runAtHome(folder, { HOME: folder }, ...args, "--store", store);
      await run(...CAT, "-o", "cat.png");
      for await (const { name } of Deno.readDir(join(store, "results"))) {
        for await (const file of Deno.readDir(join(store, "results", name))) {
          await chmod(join(store, "results", name, file.name), 0o000);
        }
      }
      const again = await run(...CAT, "-o", "again.png");
      assert.equal(again.status, 0, again.stderr);
      assert.match(
        again.stderr,
        /^warning: The record .* is ignored: Cannot read .* because permission is missing/,
      );
      assert.deepEqual(await readFile(join(folder, "again.png")), await readFile(join(folder, "cat.png")));
    }),
}));
