/**
 * The program of a child process that runs stages. Messages arrive on standard input and leave on standard
 * output. The process ends when its input or its parent ends.
 *
 * @module
 */

import { rmSync, writeSync } from "node:fs";
import process from "node:process";
import { startWorker } from "../../system/worker.ts";
import { decodeJsonTexts, encodeJsonText } from "./json_sequence.ts";
import { openLocalEnvironment } from "./local_environment.ts";
import { type HostChannel, type HostReply, hostRequestSchema } from "./protocol.ts";
import { hostStages } from "./stage_host.ts";

/** The file descriptor of the standard output. */
const STDOUT = 1;

// Ctrl-C in a terminal reaches parent and child alike. The parent decides what to do.
process.on("SIGINT", () => {});

const watchdog = startWorker(new URL("./parent_watch.ts", import.meta.url), {
  onMessage: () => {},
  onError: () => {},
});
watchdog.postMessage(process.ppid);

let temporaryFolder: string | undefined;

/** Ends the process and removes its temporary files, because a killed parent does not. */
function end(): never {
  if (temporaryFolder !== undefined) rmSync(temporaryFolder, { recursive: true, force: true });
  process.exit(0);
}

const channel: HostChannel<HostReply> = {
  send(message) {
    const bytes = encodeJsonText(message);
    try {
      for (let sent = 0; sent < bytes.length;) sent += writeSync(STDOUT, bytes, sent);
    } catch {
      // The parent was killed while a step blocked this thread.
      end();
    }
  },
  onMessage: () => {},
};
hostStages(channel, openLocalEnvironment);
for await (const message of decodeJsonTexts(process.stdin)) {
  const request = hostRequestSchema.safeParse(message).data;
  if (request?.type === "run") {
    temporaryFolder = request.temporary ? request.store : request.spare;
    if (temporaryFolder !== undefined) watchdog.postMessage(temporaryFolder);
  }
  channel.onMessage(message);
}
end();
