/**
 * Serves the page, its scripts, ONNX Runtime's web library and the embedded model. Any web server would do:
 * all files are static, and the page requests weights with `Range`.
 *
 *     deno task browser [--port 8001]
 *
 * @module
 */

import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Hono } from "hono";
import { embeddedModelFolder } from "../../hub/local_models.ts";
import { permittedEnvironment } from "../../permissions/permission_sets.ts";
import { byteRange } from "../../server/byte_range.ts";

/** The library is not a dependency of the project, because only this page needs it and it is large. */
const LIBRARY = "npm:onnxruntime-web@1.30.0";
const HERE = fileURLToPath(new URL(".", import.meta.url));
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  json: "application/json",
  wasm: "application/wasm",
};

const { values: options } = parseArgs({ options: { port: { type: "string", default: "8001" } } });

const model = embeddedModelFolder();
const names = await readdir(model, { recursive: true });
const sizes = await Promise.all(names.map(async (name) => [name, await stat(join(model, name))] as const));
const modelFiles = new Map(
  sizes.filter(([, found]) => found.isFile()).map(([name, { size }]) => [name, size]),
);

const files = new Map<string, () => Promise<Uint8Array>>([
  ["/", () => readFile(join(HERE, "page.html"))],
  ["/page.js", once(() => bundle(join(HERE, "page.ts")))],
  ["/worker.js", once(() => bundle(join(HERE, "worker.ts")))],
  ["/ort.js", once(() => bundle(`${LIBRARY}/wasm`))],
  ["/ort-wasm-simd-threaded.wasm", once(libraryBinary)],
  ["/models/pixstage-emoji/files.json", () => Promise.resolve(encode(Object.fromEntries(modelFiles)))],
  ...[...modelFiles.keys()].map((name) =>
    [`/models/pixstage-emoji/${name}`, once(() => readFile(join(model, name)))] as const
  ),
]);

const app = new Hono();
app.use(async (context, next) => {
  await next();
  // Without these headers, a browser gives WebAssembly only one thread.
  context.header("cross-origin-opener-policy", "same-origin");
  context.header("cross-origin-embedder-policy", "require-corp");
});
app.get("*", async (context) => {
  const { path } = context.req;
  const read = files.get(path);
  if (read === undefined) return context.notFound();
  const bytes = Uint8Array.from(await read());
  const type = TYPES[path === "/" ? "html" : path.split(".").at(-1)!] ?? "application/octet-stream";
  const range = byteRange(context.req.header("range"), bytes.length);
  if (range === "unsatisfiable") return context.body(null, 416);
  if (range === undefined) return context.body(bytes, 200, { "content-type": type });
  return context.body(bytes.subarray(range.start, range.end), 206, {
    "content-type": type,
    "content-range": `bytes ${range.start}-${range.end - 1}/${bytes.length}`,
  });
});

Deno.serve({
  hostname: "127.0.0.1",
  port: Number(options.port),
  onListen: ({ port }) => {
    Deno.stdout.writeSync(new TextEncoder().encode(`http://127.0.0.1:${port}/\n`));
  },
}, app.fetch);

/** Bundles a module and all its imports into one script. */
function bundle(entry: string): Promise<Uint8Array> {
  return output("bundle", "--quiet", "--no-lock", "--platform", "browser", "--minify", entry);
}

/** Returns the library's WebAssembly: Deno fetches the package for a program that names it. */
function libraryBinary(): Promise<Uint8Array> {
  const program = `import bytes from "${LIBRARY}/ort-wasm-simd-threaded.wasm" with { type: "bytes" };
    await new Blob([bytes]).stream().pipeTo(Deno.stdout.writable);`;
  return output("eval", "--quiet", "--no-lock", "--unstable-raw-imports", program);
}

/** Returns the output of a Deno command. */
async function output(...args: readonly string[]): Promise<Uint8Array> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: HERE,
    clearEnv: true,
    env: permittedEnvironment(),
  });
  const { success, stdout, stderr } = await command.output();
  if (success) return stdout;
  throw new Error(`Cannot prepare the page: deno ${args[0]} failed with ${new TextDecoder().decode(stderr)}`);
}

/** Caches the result of a read, because the content does not change. */
function once(read: () => Promise<Uint8Array>): () => Promise<Uint8Array> {
  let made: Promise<Uint8Array> | undefined;
  return () => made ??= read();
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
