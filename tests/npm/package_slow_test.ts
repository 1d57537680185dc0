import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { lockFile } from "../../disk/file_lock.ts";
import { open } from "../../mod.ts";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, runCli } from "../cli/run_cli.ts";
import { needing } from "../needing.ts";
import { holdInNode, holdsOff } from "./node_lock.ts";
import { servedCat, withServer } from "./package_server.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PACKAGES = join(ROOT, "npm");
const CAT = ["gen", "cute cat", "--seed", "1", "--no-store"];

/** The folder of the TypeScript that the build of the packages installed. */
const COMPILER = join(PACKAGES, "source/node_modules");
const COMPILING = [
  "--ignoreConfig",
  "--strict",
  // A dependency's types refer to those of Express, which it does not install.
  "--skipLibCheck",
  ...["--target", "es2023", "--lib", "esnext,dom", "--module", "nodenext"],
  ...["--types", "node", "--typeRoots", join(COMPILER, "@types")],
];

const execute = promisify(execFile);
const hasNpm = await execute("npm", ["--version"]).then(() => true, () => false);

/** Runs a program with the Node installed in a folder. Returns its standard output. */
async function run(folder: string, program: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute(program, args, {
    cwd: folder,
    env: environment(folder),
    maxBuffer: 2 ** 26,
  });
  return stdout;
}

/** Installs npm packages into a folder. */
async function install(folder: string, ...args: string[]): Promise<void> {
  await run(folder, "npm", "install", "--prefix", ".", "--no-audit", "--no-fund", ...args);
}

/** Returns an environment in which the Node installed in a folder comes first. */
function environment(folder: string): Record<string, string | undefined> {
  const { PATH } = process.env;
  return {
    ...process.env,
    PATH: [join(folder, "node/node_modules/.bin"), PATH].join(delimiter),
    PIXSTAGE_STORE: join(folder, "store"),
  };
}

/** Returns the README's example with the package as its import. */
async function libraryExample(folder: string): Promise<string> {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const [, code] = /```ts\n(import \{ open \}.*?)```/s.exec(readme)!;
  return code!.replace("./mod.ts", "@pixstage/pixstage").replace("/tmp/cat.png", join(folder, "library.png"));
}

Deno.test(needing({ what: "npm", isThere: hasNpm }, {
  name: "the npm packages run in an empty folder with Node 22 alone, and give the bytes that Deno gives",
  fn: (test) =>
    inFolder(async (folder) => {
      await execute(process.execPath, ["task", "build:npm"], { cwd: ROOT });
      const tarballs = (await readdir(PACKAGES)).filter((name) => name.endsWith(".tgz"))
        .map((name) => join(PACKAGES, name));
      assert.equal(tarballs.length, 2);
      await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }');
      await mkdir(join(folder, "node"));
      await install(join(folder, "node"), "node@22");
      // The scripts of ONNX Runtime's package would download its CUDA libraries.
      await install(folder, "--ignore-scripts", ...tarballs);
      await test.step("node is the version that is asked for", async () => {
        assert.match(await run(folder, "node", "--version"), /^v22\./);
      });

      await test.step("gen", async () => {
        for (const format of ["png", "jpg", "webp"]) {
          await run(folder, "npx", "pixstage", ...CAT, "-o", `node.${format}`);
          const { status, stderr } = await runCli(folder, ...CAT, "-o", `deno.${format}`);
          assert.equal(status, 0, stderr);
          const [node, deno] = await Promise.all(
            ["node", "deno"].map((name) => readFile(join(folder, `${name}.${format}`))),
          );
          assert.deepEqual(node, deno, format);
        }
      });

      await test.step("the library, in every executor, with its types", async () => {
        const example = await libraryExample(folder);
        await using pixstage = await open({ store: false });
        const [cat] = await pixstage.generate({ prompt: "cute cat", seed: 1 });
        for (const executor of ["inline", "worker", "process"]) {
          await writeFile(
            join(folder, "example.ts"),
            example.replace("open()", `open({ executor: "${executor}", store: false })`),
          );
          await run(folder, join(COMPILER, ".bin/tsc"), ...COMPILING, "example.ts");
          await run(folder, "node", "example.js");
          const made = await readFile(join(folder, "library.png"));
          assert.deepEqual(new Uint8Array(made), await cat!.encode("png"), executor);
        }
      });

      await test.step("locks hold among Node and Deno, and among processes of Node without koffi", async () => {
        const lock = join(folder, "file.lock");
        const node = () => holdInNode(folder, environment(folder), lock);
        await holdsOff(node, () => lockFile(lock));
        await holdsOff(() => lockFile(lock), node);
        await rm(join(folder, "node_modules/koffi"), { recursive: true });
        await holdsOff(node, node);
      });

      await test.step("serve", async () => {
        const serve = ["node", "node_modules/.bin/pixstage", "serve", "--port", "0"] as const;
        await withServer(serve, { cwd: folder, env: environment(folder) }, async (url) => {
          const made = await decodePicture(Uint8Array.from(await readFile(join(folder, "deno.png"))));
          assert.deepEqual((await servedCat(url)).data, made.pixels.data);
          for (const path of ["/", "/studio/server/studio/page/main.ts", "/reference/bundle.js"]) {
            const { status, body } = await fetch(url + path);
            assert.equal(status, 200, path);
            await body?.cancel();
          }
        });
      });

      await test.step("publint and attw find nothing", async () => {
        const tools = join(folder, "tools");
        await mkdir(tools);
        const linters = ["publint@0.3.25", "@arethetypeswrong/cli@0.18.5"];
        await install(tools, "--ignore-scripts", ...linters);
        for (const tarball of tarballs) await run(tools, "npx", "publint", "--strict", tarball);
        const [code] = tarballs.filter((name) => name.includes("pixstage-pixstage"));
        await run(tools, "npx", "attw", "--profile", "esm-only", code!);
      });
    }),
}));
