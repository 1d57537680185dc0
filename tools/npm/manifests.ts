/**
 * The `package.json` of each npm package.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** The package of the embedded model, and its version, which changes only with the model. */
export const MODEL_PACKAGE = { name: "@pixstage/emoji", version: "1.0.0" };

/** The folder of the compiled code in the package. */
const CODE = "./dist";

/** The oldest supported Node: the first of version 22 with SQLite and type stripping. */
const ENGINES = { node: ">=22.13.0" };

/** The fields that all packages share. */
const COMMON = {
  license: "Apache-2.0",
  engines: ENGINES,
  type: "module",
};

/** Packages of the import map that the npm package does not depend on. */
const NOT_NEEDED = [
  "@ai-sdk/openai-compatible",
  "@preact/signals",
  "@preact/signals-core",
  "@seriousme/openapi-schema-validator",
  "@types/shell-quote",
  "ai",
  "fast-check",
  "htm",
  "marked",
  "openai",
  "playwright-core",
  "preact",
  "shell-quote",
  "swagger-ui-dist",
  "yaml",
];

/**
 * A dependency that only Node needs, to call the C library. Without it, memory is returned to the system
 * later, and locks exclude only other Node processes.
 */
const OPTIONAL = { koffi: "3.3.4" };

/** The packages that compilation needs. */
const COMPILING = { "@types/node": "22.20.7", typescript: "7.0.2" };

const denoSchema = z.object({
  name: z.string(),
  version: z.string(),
  imports: z.record(z.string(), z.string()),
  exports: z.record(z.string(), z.string()),
});

/** The content of a `package.json`. */
export type Manifest = Readonly<Record<string, unknown>>;

/**
 * Returns the manifest of the code package.
 *
 * @param root The root of the repository.
 */
export function codeManifest(root: string): Manifest {
  const { version, exports } = readDenoConfiguration(root);
  const entries = Object.entries(exports).map(([name, path]) => {
    const compiled = `${CODE}/${path.replace(/^\.\//, "").replace(/\.ts$/, "")}`;
    return [name, { types: `${compiled}.d.ts`, default: `${compiled}.js` }] as const;
  });
  return {
    name: "@pixstage/pixstage",
    version,
    description: "Text to image with PixArt diffusion transformers, stage by stage, in little memory",
    keywords: ["pixart", "text-to-image", "diffusion", "onnxruntime", "image-generation"],
    ...COMMON,
    bin: { pixstage: `${CODE}/bin.js` },
    exports: { ...Object.fromEntries(entries), "./package.json": "./package.json" },
    files: ["dist", "CHANGELOG.md", "NOTICE"],
    dependencies: {
      [MODEL_PACKAGE.name]: `^${MODEL_PACKAGE.version}`,
      ...npmDependencies(root),
    },
    optionalDependencies: OPTIONAL,
  };
}

/** Returns the manifest of the folder in which the code is compiled. */
export function compilingManifest(root: string): Manifest {
  return { private: true, type: "module", dependencies: npmDependencies(root), devDependencies: COMPILING };
}

/** Returns the manifest of the embedded model's package. */
export function modelManifest(): Manifest {
  return {
    ...MODEL_PACKAGE,
    description: "pixstage's embedded model: emoji from text",
    ...COMMON,
    exports: { "./*": "./*" },
  };
}

/** Returns the packages of the import map that the code needs, with their versions. */
function npmDependencies(root: string): Record<string, string> {
  const { imports } = readDenoConfiguration(root);
  const versions = Object.values(imports).map((specifier) => {
    const { name, version } = /^npm:(?<name>@?[^@]+)@(?<version>[^/]+)/.exec(specifier)!.groups!;
    return [name!, version!] as const;
  });
  return without(Object.fromEntries(versions), NOT_NEEDED);
}

function without(
  versions: Readonly<Record<string, string>>,
  names: readonly string[],
): Record<string, string> {
  return Object.fromEntries(Object.entries(versions).filter(([name]) => !names.includes(name)));
}

function readDenoConfiguration(root: string): z.infer<typeof denoSchema> {
  return denoSchema.parse(JSON.parse(readFileSync(join(root, "deno.json"), "utf8")));
}
