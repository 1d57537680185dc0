/**
 * The sources of the npm package: those of this repository, with replacements for what only Deno supports.
 *
 * @module
 */

import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { BUNDLE, STYLE as REFERENCE_STYLE } from "../../server/routes/reference_files.ts";
import { LIBRARIES, PAGE, SCRIPTS, STYLE } from "../../server/studio/files.ts";

/** The folders and files of the package. */
export const PARTS: readonly string[] = [
  "artifacts",
  "charts",
  "cli",
  "devices",
  "disk",
  "errors",
  "graph",
  "hub",
  "images",
  "models",
  "network",
  "permissions",
  "pixstage",
  "queue",
  "random",
  "runtime",
  "schedulers",
  "server",
  "stages",
  "system",
  "text",
  "bin.ts",
  "cli.ts",
  "client.ts",
  "local.ts",
  "mod.ts",
  "safetensors.ts",
  "server.ts",
  "stage.ts",
  "web.ts",
];

/** Scripts of the studio page, which are served unchanged as text. */
const PAGE_FOLDER = "server/studio/page";

/** Files that import texts, which Node does not support, and their exports. */
const TEXTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "server/studio/files.ts": { PAGE, STYLE, SCRIPTS, LIBRARIES },
  "server/routes/reference_files.ts": { BUNDLE, STYLE: REFERENCE_STYLE },
};

/** APIs that only Deno has, or that came to Node after the oldest supported version. */
const MISSING_IN_NODE =
  /\b(?:Deno\.\w+|Float16Array|Promise\.try|RegExp\.escape|URLPattern)\b|\.(?:from|to)(?:Base64|Hex)\(/g;

/** Files that test for an API before they use it. */
const ASKS_FIRST = [
  "artifacts/base64.ts",
  "disk/file_lock.ts",
  "system/kernel.ts",
  "graph/hosts/module_command.ts",
  "runtime/cuda_environment.ts",
  "permissions/granted_permissions.ts",
  "system/freed_memory.ts",
  "permissions/permission_sets.ts",
];

/** The address of a module next to the current one, used to start a thread or a process. */
const MODULE_ADDRESS = /(new URL\("\.[^"]+)\.ts(", import\.meta\.url\))/g;

/**
 * Lists the APIs that the sources use although Node lacks them.
 *
 * @param root The root of the repository.
 * @returns One line per use.
 */
export function missingInNode(root: string): string[] {
  return packagedFiles(root).filter((path) => !ASKS_FIRST.includes(path)).flatMap((path) => {
    const code = readFileSync(join(root, path), "utf8").replaceAll(/^\s*(?:\/\*\*|\*|\/\/).*$/gm, "");
    return [...code.matchAll(MISSING_IN_NODE)].map(([name]) => `${path}: uses ${name}, which Node 22 lacks`);
  });
}

/**
 * Writes the sources.
 *
 * @param root The root of the repository.
 * @param folder The target folder.
 * @returns The number of files.
 */
export function writeNodeSources(root: string, folder: string): number {
  const paths = packagedFiles(root);
  for (const path of paths) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    const texts = TEXTS[path];
    const source = readFileSync(join(root, path), "utf8");
    writeFileSync(target, texts ? constants(texts) : source.replaceAll(MODULE_ADDRESS, "$1.js$2"));
  }
  const { name, version } = JSON.parse(readFileSync(join(root, "deno.json"), "utf8"));
  writeFileSync(join(folder, "deno.json"), JSON.stringify({ name, version }));
  return paths.length;
}

/** Returns the files of the package, relative to the root. */
function packagedFiles(root: string): string[] {
  return PARTS.flatMap((part) => typeScriptFiles(root, part));
}

/** Returns all TypeScript files of a part, relative to the root. */
function typeScriptFiles(root: string, path: string): string[] {
  if (path === PAGE_FOLDER) return [];
  if (statSync(join(root, path)).isFile()) return path.endsWith(".ts") ? [path] : [];
  return readdirSync(join(root, path)).flatMap((name) => typeScriptFiles(root, `${path}/${name}`));
}

/** Returns the source of a module that exports the given values. */
function constants(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .map(([name, value]) => {
      const type = typeof value === "string" ? "string" : "Readonly<Record<string, string>>";
      return `export const ${name}: ${type} = ${JSON.stringify(value)};\n`;
    })
    .join("");
}
