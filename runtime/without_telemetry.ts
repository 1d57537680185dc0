/**
 * Turns ONNX Runtime's telemetry off for this process. By default its builds for Linux and macOS keep a
 * device id and queued events under `~/.cache/Microsoft`, write a log to the temporary folder, and send the
 * events to a server.
 *
 * The library reads the variable once, when it starts. So this module must be imported before the library is.
 *
 * Source: ONNX Runtime's `docs/Privacy.md`.
 *
 * @module
 */

import process from "node:process";

process.env["ORT_DISABLE_TELEMETRY"] = "1";
