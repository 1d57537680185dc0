#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
/**
 * The command line as a program, which npm installs as `pixstage`. It hides Node's warning about its SQLite,
 * which does not concern users.
 *
 * @module
 */

import process from "node:process";
import { main } from "./cli.ts";

const status = await main(process.argv.slice(2));
// On Windows, writes to pipes finish later.
await Promise.all([process.stdout, process.stderr].map(flushed));
process.exit(status);

/** Waits until what was written is with the system, or its reader is gone. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write("", () => resolve()));
}
