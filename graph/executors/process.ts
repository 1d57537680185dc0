import { fileURLToPath } from "node:url";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { removePartialsOf } from "../../artifacts/store/folder_layout.ts";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import type { ExecuteOptions, Executor, StageRequest, StageResponse } from "./executor.ts";
import { type ArtifactCarrier, type HostLink, runInHost } from "./host_client.ts";
import { decodeJsonTexts, encodeJsonText } from "./json_sequence.ts";
import type { HostRequest } from "./protocol.ts";
import type { HostEnd } from "./stage_process_error.ts";
import { sharedStoreCarrier } from "./worker.ts";

/** What a process executor needs. */
export interface ProcessExecutorOptions {
  /** Modules that bring stages of their own, which the process loads too. */
  readonly plugins?: readonly string[] | undefined;
  /** Where the process finds checkpoints. */
  readonly models?: JsonObject | undefined;
  /** What graphs run on in the process. */
  readonly runtime?: JsonObject | undefined;
  /**
   * Milliseconds that a stage has to end by itself once it is cancelled, and then its process before it is killed.
   *
   * @default {500}
   */
  readonly graceMs?: number | undefined;
  /** Is told of the process as soon as it runs. */
  readonly onStart?: ((pid: number) => void) | undefined;
}

const MAIN = fileURLToPath(new URL("./process_main.ts", import.meta.url));

/**
 * Runs each stage in a child process of its own, which ends with it: all memory that it used is then with the operating
 * system again. Artifacts go by id through a store in a folder; with any other store through a temporary one.
 */
export class ProcessExecutor implements Executor {
  readonly name = "process";
  #options: ProcessExecutorOptions;

  /** @param options What it needs. */
  constructor(options: ProcessExecutorOptions = {}) {
    this.#options = options;
  }

  /** Runs one node in a child process. */
  async execute(request: StageRequest, options: ExecuteOptions): Promise<StageResponse> {
    const { store, signal } = options;
    signal.throwIfAborted();
    if (store.folder !== undefined) {
      return await this.#executeIn(request, options, store.folder, sharedStoreCarrier(store));
    }
    const folder = await Deno.makeTempDir({ prefix: "pixstage-" });
    try {
      return await this.#executeIn(request, options, folder, temporaryCarrier(new FolderStore(folder)));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  async #executeIn(
    request: StageRequest,
    options: ExecuteOptions,
    folder: string,
    carrier: ArtifactCarrier,
  ): Promise<StageResponse> {
    const { plugins = [], models = {}, runtime = {}, graceMs = 500, onStart } = this.#options;
    const temporary = folder !== options.store.folder;
    const link = new ProcessLink({ folder, temporary, graceMs });
    onStart?.(link.pid);
    const settings = { plugins: [...plugins], models, runtime, store: folder };
    return await runInHost(request, { ...options, link, settings, carrier, graceMs });
  }
}

/** Artifacts travel through a store that lasts as long as the stage. */
function temporaryCarrier(store: FolderStore): ArtifactCarrier {
  return {
    send: async ({ artifact }) => ({ id: await store.put(artifact) }),
    receive: async ({ id }) => {
      const artifact = await store.get(id!);
      if (artifact) return { artifact };
      throw new Error(`Cannot read artifact ${id} as it did not arrive whole`);
    },
  };
}

/** A child process as a stage host: messages go through its standard input and output. */
class ProcessLink implements HostLink {
  readonly pid: number;
  readonly ended: Promise<HostEnd>;
  onMessage: (message: unknown) => void = () => {};
  #child: Deno.ChildProcess;
  #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  #reading: Promise<void>;
  #folder: string;
  #graceMs: number;

  constructor({ folder, temporary, graceMs }: { folder: string; temporary: boolean; graceMs: number }) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", MAIN, ...(temporary ? [folder] : [])],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.pid = this.#child.pid;
    this.#folder = folder;
    this.#graceMs = graceMs;
    this.#writer = this.#child.stdin.getWriter();
    this.#reading = this.#read();
    this.ended = this.#end();
  }

  send(message: HostRequest): void {
    // A process that is gone cannot read: how it ended is told by `ended`.
    this.#writer.write(encodeJsonText(message)).catch(() => {});
  }

  async close(): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#killAfter(this.#graceMs, "SIGTERM");
  }

  async kill(): Promise<void> {
    this.#signal("SIGTERM");
    await this.#killAfter(this.#graceMs, "SIGKILL");
    await removePartialsOf(this.#folder, this.pid);
  }

  async #read(): Promise<void> {
    for await (const message of decodeJsonTexts(this.#child.stdout, printLine)) this.onMessage(message);
  }

  /** The process is gone once all that it said has been read. */
  async #end(): Promise<HostEnd> {
    const { code, signal } = await this.#child.status;
    await this.#reading.catch(() => {});
    await this.#writer.abort().catch(() => {});
    return signal === null ? { status: code } : { signal };
  }

  /** Waits for the end, helping with signals, the last of which no process survives. */
  async #killAfter(ms: number, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const timer = setTimeout(() => {
      this.#signal(signal);
      if (signal === "SIGTERM") this.#signal("SIGKILL");
    }, ms);
    await this.ended;
    clearTimeout(timer);
  }

  #signal(signal: "SIGTERM" | "SIGKILL"): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
  }
}

/** What a stage prints in its process is printed here. */
function printLine(line: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
  } catch {
    // Nobody reads the standard error any more. The run goes on.
  }
}
