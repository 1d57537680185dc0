/**
 * Runs the command line in this process. A command then starts within milliseconds, whereas a separate
 * process takes most of a second. Tests of signals, pipes, plugins and redirected output need a separate
 * process.
 *
 * @module
 */

import process from "node:process";
import { main } from "../../cli.ts";
import { withVariables } from "../environment.ts";
import { type CommandResult, storeOf } from "./run_cli.ts";

type Write = typeof process.stdout.write;

/** Captures the output of a stream until disposal. */
class Tap implements Disposable {
  #stream: NodeJS.WriteStream;
  #write: Write;
  #isTTY: boolean;
  #chunks: Uint8Array[] = [];

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#write = stream.write;
    this.#isTTY = stream.isTTY;
    stream.isTTY = false;
    stream.write = (chunk: string | Uint8Array): boolean => {
      this.#chunks.push(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk.slice());
      return true;
    };
  }

  /** The captured text. */
  async text(): Promise<string> {
    return await new Blob(this.#chunks as BlobPart[]).text();
  }

  [Symbol.dispose](): void {
    this.#stream.write = this.#write;
    this.#stream.isTTY = this.#isTTY;
  }
}

/**
 * Runs a command, and waits for its end. Commands must not run concurrently.
 *
 * @param folder The user's working folder. The store is next to it.
 * @param args The command and its arguments.
 */
export async function runHere(folder: string, ...args: string[]): Promise<CommandResult> {
  using _variables = withVariables({
    // `deno task` sets this variable to the user's folder.
    INIT_CWD: folder,
    PIXSTAGE_STORE: storeOf(folder),
    PIXSTAGE_QUANTIZED: "",
  });
  using stdout = new Tap(process.stdout);
  using stderr = new Tap(process.stderr);
  const status = await main(args);
  return { status, stdout: await stdout.text(), stderr: await stderr.text() };
}
