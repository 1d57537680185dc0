#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
/**
 * The command line as a program, which npm installs as `pixstage`. It hides Node's warning about its SQLite,
 * which does not concern users.
 *
 * @module
 */

import process from "node:process";
import { main } from "./cli.ts";

process.exit(await main(process.argv.slice(2)));
