import { fileURLToPath } from "node:url";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { removePartialsOf } from "../../artifacts/store/folder_layout.ts";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import type { RunStore } from "../../artifacts/store/store.ts";
import type { ExecuteOptions, Executor, StageRequest, StageResponse } from "./executor.ts";
import { type ArtifactCarrier, type HostLink, runInHost } from "./host_client.ts";
import { decodeJsonTexts, encodeJsonText } from "./json_sequence.ts";
import type { HostRequest } from "./protocol.ts";
import type { HostEnd } from "./stage_process_error.ts";

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
    const temporary = await Deno.makeTempDir({ prefix: "pixstage-" });
    try {
      return await this.#executeIn(request, options, { shared: store.folder, temporary });
    } finally {
      await Deno.remove(temporary, { recursive: true });
    }
  }

  async #executeIn(
    request: StageRequest,
    options: ExecuteOptions,
    { shared, temporary }: { readonly shared: string | undefined; readonly temporary: string },
  ): Promise<StageResponse> {
    const { plugins = [], models = {}, runtime = {}, graceMs = 500, onStart } = this.#options;
    const link = new ProcessLink({ folders: [shared ?? temporary, temporary], temporary, graceMs });
    onStart?.(link.pid);
    const stores = shared === undefined ? { store: temporary } : { store: shared, spare: temporary };
    const settings = { plugins: [...plugins], models, runtime, ...stores };
    const carrier = folderCarrier(
      shared === undefined ? undefined : options.store,
      new FolderStore(temporary),
    );
    return await runInHost(request, { ...options, link, settings, carrier, graceMs });
  }
}

/**
 * Artifacts travel through a store that both sides open, or through a folder that lasts as long as the
 * stage where there is no such store, or where it cannot take them.
 */
function folderCarrier(shared: RunStore | undefined, temporary: FolderStore): ArtifactCarrier {
  return {
    async send({ id, artifact }) {
      const isShared = await shared?.has(id) || await shared?.put(artifact).then(() => true, () => false);
      return { id: isShared ? id : await temporary.put(artifact) };
    },
    async receive({ id }) {
      const artifact = await temporary.get(id!);
      if (artifact) return { artifact };
      if (shared) return { id: id! };
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
  #folders: readonly string[];
  #graceMs: number;

  constructor({ folders, temporary, graceMs }: {
    readonly folders: readonly string[];
    readonly temporary: string;
    readonly graceMs: number;
  }) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", MAIN, temporary],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.pid = this.#child.pid;
    this.#folders = folders;
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
    for (const folder of new Set(this.#folders)) await removePartialsOf(folder, this.pid);
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
