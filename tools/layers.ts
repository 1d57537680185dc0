/**
 * The layers of the code. `check_flow.ts` and `check_edge.ts` enforce them, and docs/architecture.md describes
 * them.
 *
 * @module
 */

/**
 * The folders and entry points, from the bottom up: computation, composition of stages, and the programs on
 * top. A file imports from its own layer and from those before it.
 */
export const LAYERS: readonly string[] = [
  "errors",
  "system",
  "disk",
  "network",
  "artifacts",
  "permissions",
  "random",
  "schedulers",
  "images",
  "charts",
  "runtime",
  "text",
  "models",
  "hub",
  "stages",
  "graph",
  "queue",
  "devices",
  "pixstage",
  "local.ts",
  "server",
  "client.ts",
  "stage.ts",
  "safetensors.ts",
  "cli",
  "cli.ts",
  "bin.ts",
  "server.ts",
  "mod.ts",
  "web.ts",
];

/** The folders that use Web APIs only, except for files that need a disk or a process. */
export const EDGE_SAFE: readonly string[] = [
  "artifacts",
  "charts",
  "errors",
  "graph",
  "images",
  "models",
  "network",
  "random",
  "schedulers",
  "stages",
  "text",
];

/** The folder of one family of networks, and the only file that imports it and names it. */
export const FAMILY = { folder: "models/pixart/", registry: "models/architectures.ts", name: /pixart/i };
