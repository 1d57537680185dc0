#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
/**
 * The command line as a program: what npm calls `pixstage`. Node warns of its SQLite, which is no news to users.
 *
 * @module
 */

import process from "node:process";
import { main } from "./cli.ts";

process.exit(await main(process.argv.slice(2)));
