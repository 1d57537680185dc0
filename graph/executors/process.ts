import { PixstageError } from "../../errors/pixstage_error.ts";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { removePartialsOf } from "../../artifacts/store/folder_layout.ts";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import type { RunStore } from "../../artifacts/store/store.ts";
import type { ArtifactCarrier, HostLink } from "../hosts/host_connection.ts";
import type { HostEnd } from "../hosts/host_error.ts";
import { HostedExecutor, type HostedExecutorOptions, sharedStoreCarrier } from "../hosts/hosted_executor.ts";
import { decodeJsonTexts, encodeJsonText } from "../hosts/json_sequence.ts";
import { moduleCommand } from "../hosts/module_command.ts";
import type { HostRequest } from "../hosts/protocol.ts";
import { stagePermissions } from "../hosts/stage_permissions.ts";

/** Options of {@linkcode ProcessExecutor}. */
export interface ProcessExecutorOptions extends HostedExecutorOptions {
  /** Called with the id of each process as soon as it runs. */
  readonly onStart?: ((pid: number) => void) | undefined;
}

/** The file descriptor of the standard error. */
const STDERR = 2;

/**
 * Runs each stage in its own child process, which ends with the stage. The operating system then has all its
 * memory back. Artifacts travel by id through the run's store if it is in a folder, and otherwise through a
 * temporary store.
 */
export class ProcessExecutor extends HostedExecutor {
  readonly name = "process";
  readonly startsProcesses = true;
  #onStart: ProcessExecutorOptions["onStart"];
  #permissions: () => readonly string[];

  /** @param options Settings of the executor. */
  constructor({ onStart, ...options }: ProcessExecutorOptions = {}) {
    super(options);
    this.#onStart = onStart;
    this.#permissions = () => stagePermissions(options);
  }

  protected start(): HostLink {
    const link = new ProcessLink(this.graceMs, this.#permissions);
    if (link.pid !== undefined) this.#onStart?.(link.pid);
    return link;
  }

  protected async carrier(store: RunStore): Promise<ArtifactCarrier & AsyncDisposable> {
    const folder = await mkdtemp(join(tmpdir(), "pixstage-"));
    const temporary = new FolderStore(folder);
    const carrier = store.folder === undefined
      ? temporaryCarrier(temporary)
      : sharedStoreCarrier(store, temporary);
    return { ...carrier, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
  }

  protected override async cleanUp(folder: string | undefined, pid: number | undefined): Promise<void> {
    if (folder !== undefined && pid !== undefined) await removePartialsOf(folder, pid);
  }
}

/** Returns a carrier that sends artifacts through a store that lasts as long as the stage. */
function temporaryCarrier(store: FolderStore): ArtifactCarrier {
  return {
    folder: store.folder,
    temporary: true,
    send: async ({ artifact }) => ({ id: await store.put(artifact) }),
    receive: async ({ id }) => {
      const artifact = await store.get(id!);
      if (artifact) return { artifact };
      throw new PixstageError("lost", `Cannot read artifact ${id}: it did not arrive completely`);
    },
  };
}

/** A child process as a host. Messages travel through its standard input and output. */
class ProcessLink implements HostLink {
  readonly ended: Promise<HostEnd>;
  onMessage: (message: unknown) => void = () => {};
  #child: ChildProcessByStdio<Writable, Readable, null>;
  #reading: Promise<void>;
  #unreadable: string | undefined;
  #graceMs: number;

  constructor(graceMs: number, permissions: () => readonly string[]) {
    const main = new URL("../hosts/process_main.ts", import.meta.url);
    const { program, args, env } = moduleCommand(main, [], permissions);
    this.#child = spawn(program, args, { env, stdio: ["pipe", "pipe", "inherit"] });
    // An ended process cannot read. `ended` reports how it ended.
    this.#child.stdin.on("error", () => {});
    this.#graceMs = graceMs;
    // Output that is not of the protocol fails this process only.
    this.#reading = this.#read().catch(({ message }) => {
      this.#unreadable = `its output cannot be read: ${message}`;
      this.#child.kill("SIGKILL");
    });
    this.ended = this.#end();
  }

  /** Id of the process. Undefined if the system refused to start it. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: HostRequest): void {
    this.#child.stdin.write(encodeJsonText(message));
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#killAfter(this.#graceMs, "SIGTERM");
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#killAfter(this.#graceMs, "SIGKILL");
  }

  async #read(): Promise<void> {
    for await (const message of decodeJsonTexts(this.#child.stdout, printLine)) this.onMessage(message);
  }

  /** Waits until the process has ended and all its output has been read. */
  async #end(): Promise<HostEnd> {
    const { promise, resolve } = Promise.withResolvers<HostEnd>();
    this.#child.once(
      "exit",
      (status, signal) => resolve(signal === null ? { status: status ?? 0 } : { signal }),
    );
    this.#child.once("error", ({ message }) => resolve({ reason: message }));
    const end = await promise;
    await this.#reading;
    this.#child.stdin.destroy();
    return this.#unreadable === undefined ? end : { reason: this.#unreadable };
  }

  /** Waits for the end, and signals the process after some time. No process survives the last signal. */
  async #killAfter(ms: number, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const timer = setTimeout(() => {
      this.#child.kill(signal);
      if (signal === "SIGTERM") this.#child.kill("SIGKILL");
    }, ms);
    await this.ended;
    clearTimeout(timer);
  }
}

/** Prints a line that a stage printed in its process. */
function printLine(line: string): void {
  try {
    writeSync(STDERR, `${line}\n`);
  } catch {
    // The standard error is closed. The run continues.
  }
}
