/**
 * Servers that Node runs, from a package or a single binary.
 *
 * @module
 */

import { spawn, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { decodePicture } from "../../images/picture.ts";
import type { Pixels } from "../../images/pixels.ts";

/**
 * Starts a server, uses it, and stops it.
 *
 * @param line The program and its arguments, which start a server on any free port.
 * @param options Where and how the program runs.
 * @param use Receives the server's address.
 */
export async function withServer(
  [program, ...args]: readonly [string, ...string[]],
  options: Pick<SpawnOptions, "cwd" | "env">,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = spawn(program, args, { ...options, stdio: ["ignore", "ignore", "pipe"] });
  try {
    await use(await addressOf(server.stderr));
  } finally {
    const ended = server.exitCode === null ? once(server, "exit") : undefined;
    server.kill("SIGTERM");
    await ended;
  }
}

/** Requests the picture of a cat with seed 1 and the embedded model. */
export async function servedCat(url: string): Promise<Pixels> {
  const reply = await fetch(`${url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "cute cat", seed: 1, response_format: "b64_json" }),
  });
  const { data } = await reply.json();
  return (await decodePicture(Uint8Array.fromBase64(data[0].b64_json))).pixels;
}

/**
 * Returns the address that a server prints. Later output is read too, because a full pipe would block the
 * server.
 */
async function addressOf(log: Readable): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let said = "";
  log.on("data", (bytes) => {
    said += bytes;
    const [, url] = /listens at (http:\S+)/.exec(said) ?? [];
    if (url !== undefined) resolve(url);
  });
  log.on("end", () => reject(new Error(said)));
  return await promise;
}
