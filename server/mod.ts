/**
 * The HTTP server for embedding in your own program: OpenAI's images endpoint, jobs with events, stages,
 * artifacts, and the studio page, behind one `fetch`.
 *
 * @module pixstage/server
 */

export { createServer, type Server, type ServerOptions } from "./create_server.ts";
export { DEFAULT_LIMITS, type Limits } from "./limits.ts";
export { listen, type Listener, type ListenOptions } from "./listen.ts";
export { jsonLog, type Log } from "./log.ts";
