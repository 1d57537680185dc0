/**
 * Builds a single binary for this system: Node with the npm packages, their dependencies and the embedded
 * model in it.
 *
 *     deno task binary [--output FILE]
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { userPath } from "../../cli/user_path.ts";
import prettyBytes from "pretty-bytes";
import { ASSETS, packFiles } from "./packed_files.ts";

/** The Node in the binary. Versions before 25.5 cannot build single binaries by themselves. */
const NODE = "node@26";

const PACKAGES = fileURLToPath(new URL("../../npm", import.meta.url));
const EXE = process.platform === "win32" ? ".exe" : "";

/** Files that programs read, and licenses. Types, source maps, sources and documents stay outside. */
const NEEDED =
  /\.(?:[cm]?js|json|node|wasm|safetensors|model|txt|dll|dylib|so(?:\.\d+)*)$|\/(?:LICEN[CS]E|NOTICE)[^/]*$/i;

/** ONNX Runtime's libraries for any system. */
const LIBRARIES = /\/onnxruntime-node\/bin\/napi-v\d+\//;
const OWN_LIBRARIES = new RegExp(`${LIBRARIES.source}${process.platform}/${process.arch}/`);

/** Runs a program to its end. */
function run(folder: string, program: string, ...args: string[]): void {
  execFileSync(program, args, { cwd: folder, stdio: ["ignore", "inherit", "inherit"] });
}

/** Installs npm packages into a new folder. */
function install(folder: string, ...args: string[]): void {
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  run(folder, `npm${EXE && ".cmd"}`, "install", "--no-audit", "--no-fund", "--loglevel=error", ...args);
}

/** Lists the files of a folder that the binary needs, relative to it and with slashes. */
function neededFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => NEEDED.test(path) && statSync(join(folder, path)).isFile())
    .filter((path) => !LIBRARIES.test(path) || OWN_LIBRARIES.test(path))
    .toSorted();
}

const { values } = parseArgs({
  options: {
    output: { type: "string", default: join(PACKAGES, `pixstage-${process.platform}-${process.arch}${EXE}`) },
  },
});
const output = userPath(values.output);
const folder = mkdtempSync(join(tmpdir(), "pixstage-binary-"));
try {
  // 1. Install what the binary contains. The scripts of ONNX Runtime's package would download its CUDA libraries.
  const code = join(folder, "code");
  const tarballs = readdirSync(PACKAGES).filter((name) => name.endsWith(".tgz"));
  install(code, "--ignore-scripts", ...tarballs.map((name) => join(PACKAGES, name)));
  install(join(folder, "node"), NODE);

  // 2. Pack it.
  const { index, content } = packFiles(code, neededFiles(code));
  const assets = {
    [ASSETS.index]: join(folder, ASSETS.index),
    [ASSETS.content]: join(folder, ASSETS.content),
  };
  writeFileSync(assets[ASSETS.index]!, index);
  writeFileSync(assets[ASSETS.content]!, content);

  // 3. Write the program.
  const main = join(folder, "launcher.cjs");
  const launcher = fileURLToPath(new URL("launcher.ts", import.meta.url));
  run(
    dirname(launcher),
    process.execPath,
    ...["bundle", "--quiet", "--no-lock", "--format", "cjs", "--output", main, launcher],
  );
  const settings = {
    main,
    output,
    assets,
    disableExperimentalSEAWarning: true,
    // Node calls its SQLite experimental. NODE_OPTIONS is for other programs of the user.
    execArgv: ["--disable-warning=ExperimentalWarning"],
    execArgvExtension: "none",
  };
  writeFileSync(join(folder, "binary.json"), JSON.stringify(settings));
  mkdirSync(dirname(output), { recursive: true });
  run(folder, join(folder, `node/node_modules/node/bin/node${EXE}`), "--build-sea=binary.json");
  process.stdout.write(`${output}: ${prettyBytes(statSync(output).size)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
