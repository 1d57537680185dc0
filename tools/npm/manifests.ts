/**
 * The `package.json` of each npm package.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** The package that holds the embedded model, and its version, which changes with the model alone. */
export const MODEL_PACKAGE = { name: "@pixstage/emoji", version: "1.0.0" };

/** Where the compiled code lies in the package. */
const CODE = "./dist";

/** The oldest Node: the first of version 22 with SQLite and the stripping of types. */
const ENGINES = { node: ">=22.13.0" };

/** The author's side of all packages. */
const COMMON = {
  license: "Apache-2.0",
  engines: ENGINES,
  type: "module",
};

/** What a package of the import map is to the npm package, where it is no dependency. */
const NOT_NEEDED = [
  "@ai-sdk/openai-compatible",
  "@preact/signals",
  "@preact/signals-core",
  "@seriousme/openapi-schema-validator",
  "ai",
  "fast-check",
  "htm",
  "openai",
  "playwright-core",
  "preact",
  "swagger-ui-dist",
];

/**
 * What Node alone needs, to call the C library. Where it is missing, memory is given back less eagerly, and locks hold
 * among processes of Node alone.
 */
const OPTIONAL = { koffi: "3.3.4" };

/** What compiling takes. */
const COMPILING = { "@types/node": "22.20.7", typescript: "7.0.2" };

const denoSchema = z.object({
  name: z.string(),
  version: z.string(),
  imports: z.record(z.string(), z.string()),
  exports: z.record(z.string(), z.string()),
});

/** A manifest. */
export type Manifest = Readonly<Record<string, unknown>>;

/**
 * The manifest of the package with the code.
 *
 * @param root The repository.
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
    description: "Pictures from text with PixArt diffusion transformers, stage by stage, in little memory",
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

/** The manifest of the folder in which the code is compiled. */
export function compilingManifest(root: string): Manifest {
  return { private: true, type: "module", dependencies: npmDependencies(root), devDependencies: COMPILING };
}

/** The manifest of the package with the embedded model. */
export function modelManifest(): Manifest {
  return {
    ...MODEL_PACKAGE,
    description: "The small model that pixstage carries: emoji from text",
    ...COMMON,
    exports: { "./*": "./*" },
  };
}

/** The packages of the import map that the code needs, with their versions. */
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
