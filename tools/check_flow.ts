/**
 * Holds the rooms to the flow: a file imports from its own room and from those below it, never from one above.
 *
 * @module
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The rooms, from the ground up: what is computed, how it is put together, who asks for it. */
const ROOMS = [
  "errors",
  "artifacts",
  "random",
  "schedulers",
  "images",
  "runtime",
  "text",
  "models",
  "hub",
  "stages",
  "graph",
  "devices",
  "pixstage",
  "local.ts",
  "devices/local_devices.ts",
  "server",
  "client.ts",
  "stage.ts",
  "safetensors.ts",
  "cli",
  "cli.ts",
  "server.ts",
  "mod.ts",
  "web.ts",
];

/** All TypeScript files of a room, relative to the root. */
function sources(path: string): string[] {
  if (statSync(join(ROOT, path)).isFile()) return path.endsWith(".ts") ? [path] : [];
  return readdirSync(join(ROOT, path)).flatMap((name) => sources(`${path}/${name}`));
}

/** The local files that a file imports, relative to the root; those named in comments are none. */
function localImports(path: string): string[] {
  const code = readFileSync(join(ROOT, path), "utf8").replaceAll(/^\s*(?:\/\*\*|\*).*$/gm, "");
  return [...code.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)]
    .map(([, specifier]) => new URL(specifier!, `file:///${path}`).pathname.slice(1));
}

const faults = ROOMS.flatMap((room, floor) =>
  sources(room).flatMap((path) =>
    localImports(path)
      .filter((target) => ROOMS.indexOf(target.split("/")[0]!) > floor)
      .map((target) => `${path}: imports ${target}, which stands above it`)
  )
);
for (const fault of faults) Deno.stderr.writeSync(new TextEncoder().encode(`${fault}\n`));
if (faults.length > 0) Deno.exit(1);
Deno.stdout.writeSync(new TextEncoder().encode(`${ROOMS.length} rooms import downwards only\n`));
