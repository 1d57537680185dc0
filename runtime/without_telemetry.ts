/**
 * Turns off ONNX Runtime's telemetry for this process. By default its builds for Linux and macOS keep a
 * device id and queued events under `~/.cache/Microsoft`, write a log to the temporary folder, and send the
 * events to a server. The library reads the variable once, when it starts. This module must therefore be
 * imported before the library. Source: ONNX Runtime's `docs/Privacy.md`.
 *
 * @module
 */

import process from "node:process";

process.env["ORT_DISABLE_TELEMETRY"] = "1";
