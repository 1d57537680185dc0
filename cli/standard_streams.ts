/**
 * Writes to the standard output and the standard error of commands.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { write } from "node:fs";
import { stderr, stdout } from "node:process";
import type { Writable } from "node:stream";
import { promisify } from "node:util";
import { FileError, onDisk } from "../disk/file_error.ts";
import { systemCode } from "../errors/foreign_error.ts";

/** Name of the standard output in errors. */
const STDOUT_NAME = "standard output";

const writeTo = promisify(write);

let outlives = false;

/**
 * Lets a command continue after the reader of its output has closed the pipe, as `head` does. Further output
 * is dropped, and the command still writes its files.
 */
export function outliveReaders(): void {
  if (outlives) return;
  outlives = true;
  for (const stream of [stdout, stderr]) {
    stream.on("error", (error: Error) => {
      if (systemCode(error) !== "EPIPE") throw error;
    });
  }
}

/**
 * Writes one line. Control characters are escaped, so that texts from files and servers cannot control the
 * terminal.
 *
 * @param stream The stream to write to.
 * @param line The line. Line breaks and tabs stay as they are.
 * @throws {FileError} if the standard output cannot be written, unless its reader has closed the pipe.
 */
export function writeLine(stream: Writable, line: string): void {
  try {
    stream.write(Buffer.from(`${printable(line)}\n`));
  } catch (cause) {
    // If the standard error cannot be written, there is nowhere to report that.
    if (stream === stderr) return;
    throw new FileError("write", STDOUT_NAME, systemCode(cause), { cause });
  }
}

/**
 * Escapes control characters as JSON does, except line breaks and tabs.
 *
 * @param text The text. JSON keeps its meaning.
 * @returns The text without control characters.
 */
export function printable(text: string): string {
  return text.replaceAll(
    /(?![\n\t])\p{Cc}/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * Writes bytes to the standard output.
 *
 * @param chunks The bytes in pieces.
 * @throws {FileError} if the standard output cannot be written; with the system code `EPIPE` if its reader
 * has closed the pipe.
 */
export async function writeStdout(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) {
    for (let offset = 0; offset < chunk.length;) {
      const written = writeTo(stdout.fd, chunk, offset);
      offset += (await onDisk("write", STDOUT_NAME, written)).bytesWritten;
    }
  }
}
