/**
 * The sources of the npm package: those of this repository, with what Deno alone understands replaced.
 *
 * @module
 */

import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { BUNDLE, STYLE as REFERENCE_STYLE } from "../../server/routes/reference_files.ts";
import { LIBRARIES, PAGE, SCRIPTS, STYLE } from "../../server/studio/files.ts";

/** The folders and files that the package is made of. */
const PARTS = [
  "artifacts",
  "cli",
  "devices",
  "errors",
  "graph",
  "hub",
  "images",
  "models",
  "pixstage",
  "queue",
  "random",
  "runtime",
  "schedulers",
  "server",
  "stages",
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

/** Scripts of the studio page: they are served as they are, as texts. */
const PAGE_FOLDER = "server/studio/page";

/** Files that import texts, which Node cannot, and what they export. */
const TEXTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "server/studio/files.ts": { PAGE, STYLE, SCRIPTS, LIBRARIES },
  "server/routes/reference_files.ts": { BUNDLE, STYLE: REFERENCE_STYLE },
};

/** What Deno alone has, or Node later than the version that the package asks for. */
const MISSING_IN_NODE =
  /\b(?:Deno\.\w+|Float16Array|Promise\.try|RegExp\.escape|URLPattern)\b|\.(?:from|to)(?:Base64|Hex)\(/g;

/** Files that ask whether it is there. */
const ASKS_FIRST = [
  "artifacts/base64.ts",
  "artifacts/file_lock.ts",
  "runtime/cuda_environment.ts",
  "runtime/freed_memory.ts",
];

/** An address of a module beside the one at hand, by which a thread or a process is started. */
const MODULE_ADDRESS = /(new URL\("\.[^"]+)\.ts(", import\.meta\.url\))/g;

/**
 * Names what the sources use although Node lacks it.
 *
 * @param root The repository.
 * @returns A line for each.
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
 * @param root The repository.
 * @param folder Where they go.
 * @returns How many files there are.
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

/** The files that the package is made of, relative to the root. */
function packagedFiles(root: string): string[] {
  return PARTS.flatMap((part) => typeScriptFiles(root, part));
}

/** All TypeScript files of a part, relative to the root. */
function typeScriptFiles(root: string, path: string): string[] {
  if (path === PAGE_FOLDER) return [];
  if (statSync(join(root, path)).isFile()) return path.endsWith(".ts") ? [path] : [];
  return readdirSync(join(root, path)).flatMap((name) => typeScriptFiles(root, `${path}/${name}`));
}

/** A module that exports values as they are now. */
function constants(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .map(([name, value]) => {
      const type = typeof value === "string" ? "string" : "Readonly<Record<string, string>>";
      return `export const ${name}: ${type} = ${JSON.stringify(value)};\n`;
    })
    .join("");
}
