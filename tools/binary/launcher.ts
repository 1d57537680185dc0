/**
 * The main script of the single binary: Node, with the npm packages as its assets. It unpacks them into the
 * user's cache at the first start, because ONNX Runtime maps its libraries and the weights from files.
 *
 * A stage in its own process is the same binary: its first argument is then one of the unpacked modules.
 *
 * @module
 */

import { randomUUID } from "node:crypto";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { constants, Script } from "node:vm";
import { userCacheFolder } from "../../artifacts/store/default_folder.ts";
import { ASSETS, hasPackedFiles, packedId, unpackFiles } from "./packed_files.ts";

/** The assets of the program. Deno, which checks and bundles this file, has no such module. */
const { getAsset, getRawAsset } = process.getBuiltinModule("node:sea");

/** The module of the command line in the unpacked folder. */
const MAIN = "node_modules/@pixstage/pixstage/dist/bin.js";

/**
 * Returns the folder of the unpacked files. If it is not there, or a file in it is missing or cut off, the
 * files are unpacked beside it and moved into its place, so that no process sees half of them.
 */
function unpackedFolder(): string {
  const index = getAsset(ASSETS.index, "utf8");
  const folder = join(userCacheFolder(), "binary", packedId(index));
  const fresh = `${folder}.${randomUUID()}`;
  try {
    if (hasPackedFiles(index, folder)) return folder;
    mkdirSync(fresh, { recursive: true, mode: 0o700 });
    try {
      unpackFiles({ index, content: new Uint8Array(getRawAsset(ASSETS.content)) }, fresh);
      putInPlace(fresh, folder, index);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
    return folder;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      `error: Cannot unpack pixstage into "${dirname(folder)}": ${reason}. ` +
        "The folder must be writable; XDG_CACHE_HOME moves it on Linux, and LOCALAPPDATA on Windows\n",
    );
    process.exit(1);
  }
}

/** Moves the unpacked files into their place, unless another process was faster. */
function putInPlace(fresh: string, folder: string, index: string): void {
  try {
    renameSync(fresh, folder);
  } catch {
    if (hasPackedFiles(index, folder)) return;
    const old = `${fresh}.old`;
    renameSync(folder, old);
    renameSync(fresh, folder);
    rmSync(old, { recursive: true });
  }
}

const folder = unpackedFolder();
const [program, , ...args] = process.argv;
const isModule = args[0]?.startsWith(folder + sep) ?? false;
// Modules read their arguments where Node puts them: behind the path of the module.
process.argv = isModule ? [program!, ...args] : [program!, join(folder, MAIN), ...args];
// The main script of a single binary can import only modules of Node itself, but a script that it makes can
// import files.
const load = new Script("(module) => import(module)", {
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
}).runInThisContext();
load(pathToFileURL(process.argv[1]!).href);
