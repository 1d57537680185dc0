/**
 * Checks that the edge-safe folders use only Web APIs: every file in them carries the mark, except those
 * listed here; marked files import neither Node's modules nor unmarked files; and all marked files type-check
 * against only the DOM libraries. The idea comes from denoland/std's browser check.
 *
 * `--list` prints the files that carry the mark.
 *
 * @module
 */

import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { permittedEnvironment } from "../permissions/permission_sets.ts";
import { EDGE_SAFE } from "./layers.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MARK = "// This module is browser compatible.";

/** The module through which users import the edge-safe folders. */
const ENTRIES = ["web.ts"];

/** Files in these folders that need a disk or a process and therefore have no mark. */
const UNMARKED = [
  /^artifacts\/files_on_disk\.ts$/,
  /^artifacts\/store\/(default_folder|folder_\w+|mirrored_store|usable_store)\.ts$/,
  /^network\/proxy\.ts$/,
  /^images\/codecs_in_node\.ts$/,
  /^graph\/(fingerprint_memo|provenance_file)\.ts$/,
  /^graph\/executors\/process\.ts$/,
  /^graph\/hosts\/(local_environment|module_command|parent_watch|process_main|stage_permissions|worker_main)\.ts$/,
  /^models\/checkpoint\/disk_source\.ts$/,
  /^models\/quantization\/(default_folder|open_quantized|quantized_folder|write_quantized)\.ts$/,
  /^models\/synthetic\/write_checkpoint\.ts$/,
];

/** Generated files, which are checked through the files that import them. */
const GENERATED = /_pb\.ts$/;

/** Returns all TypeScript files below a folder, relative to the root. */
function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return sources(path);
    return entry.name.endsWith(".ts") ? [path] : [];
  });
}

/** Returns whether a file carries the mark. */
function isMarked(path: string): boolean {
  return readFileSync(join(ROOT, path), "utf8").startsWith(MARK);
}

/** Returns the local files and Node modules that a marked file imports although it must not. */
function badImports(path: string): string[] {
  const text = readFileSync(join(ROOT, path), "utf8");
  const imports = [...text.matchAll(/^(?:import|export)\s[^;]*?from\s+"([^"]+)"/gms)].map((match) =>
    match[1]!
  );
  return imports.filter((specifier) => {
    if (specifier.startsWith("node:")) return true;
    if (!specifier.startsWith(".")) return false;
    const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
    return !GENERATED.test(target) && !isMarked(target);
  });
}

/** Type-checks files against only the DOM libraries. */
function checkTypes(files: readonly string[]): boolean {
  const { imports, compilerOptions } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));
  const config = join(ROOT, `.edge-${crypto.randomUUID()}.json`);
  const lib = ["esnext", "dom", "dom.iterable", "dom.asynciterable"];
  writeFileSync(config, JSON.stringify({ imports, compilerOptions: { ...compilerOptions, lib } }));
  try {
    const { success } = new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--no-lock", "--config", config, ...files],
      cwd: ROOT,
      clearEnv: true,
      env: permittedEnvironment(),
      stdout: "inherit",
      stderr: "inherit",
    }).outputSync();
    return success;
  } finally {
    rmSync(config);
  }
}

const print = (text: string): void => {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
};
const files = [...EDGE_SAFE.flatMap(sources), ...ENTRIES].filter((path) => !GENERATED.test(path));
const marked = files.filter(isMarked);
if (Deno.args.includes("--list")) {
  print(marked.join("\n"));
  Deno.exit();
}
const faults = [
  ...files.filter((path) => !isMarked(path) && !UNMARKED.some((allowed) => allowed.test(path)))
    .map((path) => `${path}: has no mark and is not listed among the files that need a disk or a process`),
  ...marked.flatMap((path) => badImports(path).map((specifier) => `${path}: imports ${specifier}`)),
];
for (const fault of faults) Deno.stderr.writeSync(new TextEncoder().encode(`${fault}\n`));
if (faults.length > 0 || !checkTypes(marked)) Deno.exit(1);
print(`${marked.length} files are edge-safe`);
