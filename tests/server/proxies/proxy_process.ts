/**
 * Reverse proxies for tests: Debian's nginx and Caddy, with the configurations from docs/server.md. If one is
 * missing, its tests are ignored, except on CI, where they fail.
 *
 * @module
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Need } from "../../needing.ts";
import { ROOT } from "../server_process.ts";

/** The programs and their paths on Debian. */
const PROGRAMS = { nginx: "/usr/sbin/nginx", caddy: "/usr/bin/caddy" } as const;

/** A reverse proxy. */
export type ProxyName = keyof typeof PROGRAMS;

/** Host name of the proxies. Browsers resolve it to this machine themselves. */
export const PUBLIC_NAME = "pictures.localhost";

/** Returns the requirement of a proxy. On CI it must be installed. */
export function proxyNeed(name: ProxyName): Need {
  return {
    what: `${name} at ${PROGRAMS[name]}: install ${name}`,
    isThere: existsSync(PROGRAMS[name]) || Deno.env.get("CI") === "true",
  };
}

/** Returns the configuration in docs/server.md for a proxy. */
export async function documented(language: "nginx" | "caddyfile"): Promise<string> {
  const document = await Deno.readTextFile(join(ROOT, "docs/server.md"));
  const [, text] = new RegExp("```" + language + "\\n(.*?)```", "s").exec(document) ?? [];
  assert.ok(text, language);
  return text;
}

/** A running proxy. */
export interface ProxyProcess extends AsyncDisposable {
  /** The proxy's address for browsers: `http://pictures.localhost:8080`. */
  readonly url: string;
  /** The proxy's port. */
  readonly port: number;
}

/**
 * Starts a proxy in front of a server.
 *
 * @param name The proxy.
 * @param server The server's address.
 * @param text The configuration: locations for nginx, sites for Caddy, with the names and addresses from the
 * document.
 */
export async function startProxy(name: ProxyName, server: string, text: string): Promise<ProxyProcess> {
  const folder = await Deno.makeTempDir({ prefix: `pixstage-${name}-` });
  // nginx's workers run as another user.
  await Deno.chmod(folder, 0o755);
  const port = freePort();
  const settings = text.replaceAll("127.0.0.1:8000", new URL(server).host)
    .replaceAll("pictures.example", `http://${PUBLIC_NAME}:${port}`);
  const config = join(folder, "config");
  await Deno.writeTextFile(
    config,
    name === "nginx" ? nginxFile(folder, port, settings) : caddyFile(settings),
  );
  const args = name === "nginx"
    ? ["-e", "stderr", "-c", config, "-g", "daemon off;"]
    : ["run", "--config", config, "--adapter", "caddyfile"];
  const child = new Deno.Command(PROGRAMS[name], {
    args,
    env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const said = new Response(child.stderr).text();
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.status;
    await said;
    await Deno.remove(folder, { recursive: true });
  };
  for (let tries = 0; !await answers(port); tries++) {
    if (tries === 100) {
      await stop();
      throw new Error(`${name} does not listen: ${await said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { url: `http://${PUBLIC_NAME}:${port}`, port, [Symbol.asyncDispose]: stop };
}

function nginxFile(folder: string, port: number, locations: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
    worker_processes 1;
    pid ${folder}/pid;
    events {}
    http {
      access_log off;
      ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join("\n")}
      server { listen 127.0.0.1:${port}; listen [::1]:${port}; ${locations} }
    }
  `;
}

function caddyFile(sites: string): string {
  return `{\n admin off\n auto_https off\n}\n${sites}`;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function answers(port: number): Promise<boolean> {
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    return connection.remoteAddr.transport === "tcp";
  } catch {
    return false;
  }
}
