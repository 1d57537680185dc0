/**
 * The server: OpenAI's images endpoint, jobs with live progress, stages and artifacts over HTTP, and a
 * studio page.
 *
 * @module
 */

import process from "node:process";
import { main } from "./cli.ts";

export { createServer, type Server, type ServerOptions } from "./server/create_server.ts";

if (import.meta.main) process.exit(await main(["serve", ...process.argv.slice(2)]));
