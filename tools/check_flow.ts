/**
 * Checks the direction of imports: a file imports from its own folder and from folders below it, never from
 * one above. No files import one another in a cycle. Only the folder of a family of networks and the registry
 * know that family.
 *
 * @module
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FAMILY, LAYERS } from "./layers.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Returns all TypeScript files of a folder, relative to the root. */
function sources(path: string): string[] {
  if (statSync(join(ROOT, path)).isFile()) return path.endsWith(".ts") ? [path] : [];
  return readdirSync(join(ROOT, path)).flatMap((name) => sources(`${path}/${name}`));
}

/** An import of a local file. */
interface Import {
  /** The path of the imported file, relative to the root. */
  readonly target: string;
  /** Whether the import is type-only, so nothing of it is left at run time. */
  readonly isOfTypes: boolean;
}

const IMPORT = /(?:(?:import|export)(\s+type)?\s[^;"]*?from|import\()\s*"(\.[^"]+)"/g;

/** Returns the code of a file without its comments. */
function code(path: string): string {
  return readFileSync(join(ROOT, path), "utf8").replaceAll(/^\s*(?:\/\*\*|\*).*$/gm, "");
}

/** Returns the local files that a file imports, ignoring those named in comments. */
function localImports(path: string): Import[] {
  return [...code(path).matchAll(IMPORT)].map(([, type, specifier]) => ({
    target: new URL(specifier!, `file:///${path}`).pathname.slice(1),
    isOfTypes: type !== undefined,
  }));
}

const files = new Map(LAYERS.flatMap(sources).map((path) => [path, localImports(path)]));

/** Returns the imports from a folder above a file's own. */
function upwardImports(): string[] {
  return LAYERS.flatMap((folder, floor) =>
    sources(folder).flatMap((path) =>
      files.get(path)!
        .filter(({ target }) => LAYERS.indexOf(target.split("/")[0]!) > floor)
        .map(({ target }) => `${path}: imports ${target}, which is in a folder above it`)
    )
  );
}

/** Returns the mentions of a family of networks outside of its folder. */
function familyMentions(): string[] {
  return [...files].flatMap(([path, imports]) => {
    if (path.startsWith(FAMILY.folder) || path === FAMILY.registry) return [];
    const taken = imports.filter(({ target }) => target.startsWith(FAMILY.folder));
    const names = code(path).replaceAll(/"[^"\n]*"|`[^`]*`|\/\/.*$/gm, "").split("\n").filter((line) =>
      FAMILY.name.test(line)
    );
    return [
      ...taken.map(({ target }) => `${path}: imports ${target}; ask ${FAMILY.registry} for the architecture`),
      ...names.map((line) => `${path}: names one architecture: ${line.trim()}`),
    ];
  });
}

/** Returns the cycles of files that import one another, ignoring type-only imports. */
function importCycles(): string[] {
  const done = new Set<string>();
  const faults: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) {
      faults.push(`${[...way.slice(way.indexOf(path)), path].join(" → ")}: import one another in a cycle`);
      return;
    }
    if (done.has(path)) return;
    for (const { target, isOfTypes } of files.get(path) ?? []) {
      if (!isOfTypes) visit(target, [...way, path]);
    }
    done.add(path);
  };
  for (const path of files.keys()) visit(path, []);
  return faults;
}

const faults = [...upwardImports(), ...familyMentions(), ...importCycles()];
for (const fault of faults) Deno.stderr.writeSync(new TextEncoder().encode(`${fault}\n`));
if (faults.length > 0) Deno.exit(1);
Deno.stdout.writeSync(
  new TextEncoder().encode(
    `${LAYERS.length} folders import downwards only, ${files.size} files without a cycle, ` +
      `only ${FAMILY.registry} knows ${FAMILY.folder}\n`,
  ),
);
