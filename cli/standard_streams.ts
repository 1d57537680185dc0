/**
 * The standard output and the standard error of commands.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { write } from "node:fs";
import { stderr, stdout } from "node:process";
import type { Writable } from "node:stream";
import { promisify } from "node:util";
import { FileError, onDisk } from "../artifacts/file_error.ts";
import { systemCode } from "../errors/foreign_error.ts";

/** What errors call the standard output. */
const STDOUT_NAME = "standard output";

const writeTo = promisify(write);

let outlives = false;

/**
 * Lets a command go on when the reader of its output has gone, as `head` does: what it would still print is
 * dropped, and the files that it writes are kept.
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
 * Writes one line. Control characters in it are escaped: texts from files and servers must not steer the
 * terminal.
 *
 * @param stream Where it goes.
 * @param line The line. Line breaks and tabs stay as they are.
 * @throws {FileError} if the standard output cannot take it, unless its reader is gone.
 */
export function writeLine(stream: Writable, line: string): void {
  try {
    stream.write(Buffer.from(`${printable(line)}\n`));
  } catch (cause) {
    // There is no place left to say that the standard error cannot be written.
    if (stream === stderr) return;
    throw new FileError("write", STDOUT_NAME, systemCode(cause), { cause });
  }
}

/**
 * Escapes the control characters of a text as JSON does, but for line breaks and tabs.
 *
 * @param text The text; a text of JSON keeps its meaning.
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
 * @param chunks The bytes in pieces, at hand or as they come.
 * @throws {FileError} if it cannot take them; with the system code `EPIPE` if its reader is gone.
 */
export async function writeStdout(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) {
    for (let offset = 0; offset < chunk.length;) {
      const written = writeTo(stdout.fd, chunk, offset);
      offset += (await onDisk("write", STDOUT_NAME, written)).bytesWritten;
    }
  }
}
