/**
 * Builds the npm packages into `npm/`: the code, compiled by TypeScript's own compiler, and the embedded
 * model.
 *
 *     deno task build:npm
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEFAULT_MODEL } from "../../hub/embedded_model.ts";
import { codeManifest, compilingManifest, type Manifest, modelManifest } from "./manifests.ts";
import { writeNodeSources } from "./node_sources.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OUT = join(ROOT, "npm");

/** The compiler options. `deno task check` checks the types, because it also knows Deno's. */
const TYPESCRIPT = {
  compilerOptions: {
    target: "es2023",
    lib: ["esnext", "dom", "dom.iterable", "dom.asynciterable"],
    module: "nodenext",
    types: ["node"],
    rewriteRelativeImportExtensions: true,
    resolveJsonModule: true,
    declaration: true,
    noCheck: true,
    skipLibCheck: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    rootDir: ".",
    outDir: "../pixstage/dist",
  },
  include: ["**/*.ts"],
  exclude: ["node_modules"],
};

/** Runs an npm program to its end. */
function run(folder: string, program: string, ...args: string[]): void {
  execFileSync(program, args, { cwd: folder, stdio: ["ignore", "inherit", "inherit"] });
}

function writeManifest(folder: string, manifest: Manifest): void {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** Renames imports in declarations: the compiler leaves `.ts` in them, but the package has no such files. */
function nameCompiledDeclarations(folder: string): void {
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!path.endsWith(".d.ts")) continue;
    const file = join(folder, path);
    writeFileSync(file, readFileSync(file, "utf8").replaceAll(/("\.{1,2}\/[^"]*)\.ts"/g, '$1.js"'));
  }
}

// 1. Compile.
const source = join(OUT, "source");
const code = join(OUT, "pixstage");
rmSync(OUT, { recursive: true, force: true });
mkdirSync(source, { recursive: true });
writeNodeSources(ROOT, source);
writeManifest(source, compilingManifest(ROOT));
writeFileSync(join(source, "tsconfig.json"), JSON.stringify(TYPESCRIPT));
run(source, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error");
run(source, join(source, "node_modules/.bin/tsc"), "--project", ".");
nameCompiledDeclarations(join(code, "dist"));

// 2. Assemble the packages.
writeManifest(code, codeManifest(ROOT));
for (const name of ["README.md", "CHANGELOG.md", "LICENSE", "NOTICE"]) {
  copyFileSync(join(ROOT, name), join(code, name));
}
const model = join(OUT, "emoji");
cpSync(join(ROOT, "models", DEFAULT_MODEL), join(model, DEFAULT_MODEL), { recursive: true });
writeManifest(model, modelManifest());
copyFileSync(join(ROOT, "models", DEFAULT_MODEL, "README.md"), join(model, "README.md"));
for (const name of ["LICENSE", "NOTICE"]) copyFileSync(join(ROOT, name), join(model, name));

// 3. Pack them.
for (const folder of [code, model]) run(folder, "npm", "pack", "--loglevel=error", "--pack-destination", OUT);
