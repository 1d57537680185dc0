/**
 * workerd, the runtime of Cloudflare Workers, from npm.
 *
 * @module
 */

import { join } from "node:path";
import type { Need } from "../needing.ts";
import { freePort } from "../queue/queue_servers.ts";

/**
 * The version of workerd. It is not a dependency of the project, because it is large and only tests of
 * gateways need it.
 */
const PACKAGE = "npm:workerd@1.20261117.1";

const program = await findProgram();

/** npm's `workerd`, with the binary for this system. */
export const WORKERD: Need = { what: "npm's workerd", isThere: program !== undefined };

async function findProgram(): Promise<string | undefined> {
  const code =
    `import workerd from "${PACKAGE}"; await Deno.stdout.write(new TextEncoder().encode(workerd.default));`;
  const args = ["eval", "--no-lock", "--quiet", code];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "null" }).output();
  return success ? new TextDecoder().decode(stdout) : undefined;
}

/** Options for starting a Worker. */
export interface WorkerdOptions {
  /** Folder for the configuration. */
  readonly folder: string;
  /** Module in this folder whose default export handles requests. */
  readonly module: string;
  /** The Worker's variables. */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  /** Whether Node's modules are available. */
  readonly nodeModules?: boolean | undefined;
}

/** A Worker in a separate process. */
export class Workerd implements AsyncDisposable {
  readonly url: string;
  readonly #inspector: string;
  readonly #process: Deno.ChildProcess;
  readonly #log: Promise<string>;

  private constructor(port: number, inspector: number, process: Deno.ChildProcess) {
    this.url = `http://127.0.0.1:${port}`;
    this.#inspector = `http://127.0.0.1:${inspector}`;
    this.#process = process;
    this.#log = new Response(process.stderr).text();
  }

  /** Starts a Worker, and waits until it replies. */
  static async start(
    { folder, module, variables = {}, nodeModules = true }: WorkerdOptions,
  ): Promise<Workerd> {
    const [port, inspector] = [freePort(), freePort()];
    const bindings = Object.entries(variables).map(([name, text]) =>
      `( name = ${JSON.stringify(name)}, text = ${JSON.stringify(text)} )`
    );
    await Deno.writeTextFile(
      join(folder, "workerd.capnp"),
      `using Workerd = import "/workerd/workerd.capnp";
      const config :Workerd.Config = (
        services = [
          ( name = "main", worker = .main ),
          ( name = "internet", network = ( allow = ["public", "private"] ) ),
        ],
        sockets = [ ( name = "http", address = "127.0.0.1:${port}", http = (), service = "main" ) ],
      );
      const main :Workerd.Worker = (
        modules = [ ( name = "worker.js", esModule = embed ${JSON.stringify(module)} ) ],
        compatibilityDate = "2026-11-01",
        compatibilityFlags = [${nodeModules ? "" : '"no_nodejs_compat"'}],
        bindings = [ ${bindings.join(", ")} ],
      );\n`,
    );
    const process = new Deno.Command(program!, {
      args: ["serve", "workerd.capnp", `--inspector-addr=127.0.0.1:${inspector}`],
      cwd: folder,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const started = new Workerd(port, inspector, process);
    for (let tries = 0;; tries++) {
      try {
        await (await fetch(`${started.url}/healthz`)).body?.cancel();
        return started;
      } catch (error) {
        if (tries === 200) {
          throw new Error(`workerd does not answer: ${await started.#end()}`, { cause: error });
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Resident memory of the process in bytes: now, and at its peak. */
  async residentMemory(): Promise<{ readonly now: number; readonly peak: number }> {
    const status = await Deno.readTextFile(`/proc/${this.#process.pid}/status`);
    const of = (name: string): number =>
      1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]);
    return { now: of("VmRSS"), peak: of("VmHWM") };
  }

  /** Returns the bytes of the isolate's heap and of its buffers, from the inspector. */
  async heap(): Promise<{ readonly usedSize: number; readonly backingStorageSize: number }> {
    const [target] = await (await fetch(`${this.#inspector}/json`)).json();
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    await new Promise((resolve) => socket.onopen = resolve);
    const reply = new Promise<MessageEvent<string>>((resolve) => socket.onmessage = resolve);
    socket.send(JSON.stringify({ id: 1, method: "Runtime.getHeapUsage" }));
    const { result } = JSON.parse((await reply).data);
    const closed = new Promise((resolve) => socket.onclose = resolve);
    socket.close();
    await closed;
    return { usedSize: result.usedSize, backingStorageSize: result.backingStorageSize ?? 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  async #end(): Promise<string> {
    this.#process.kill("SIGTERM");
    await this.#process.status;
    return await this.#log;
  }
}
