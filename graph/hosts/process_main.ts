/**
 * The program of a child process that runs stages. Messages arrive on standard input and leave on standard
 * output. The process ends when its input or its parent ends.
 *
 * @module
 */

import { rmSync } from "node:fs";
import { decodeJsonTexts, encodeJsonText } from "./json_sequence.ts";
import { openLocalPlace } from "./local_place.ts";
import { type HostChannel, type HostReply, hostRequestSchema } from "./protocol.ts";
import { hostStages } from "./stage_host.ts";

// Ctrl-C in a terminal reaches parent and child alike. The parent decides what to do.
Deno.addSignalListener("SIGINT", () => {});

const watchdog = new Worker(new URL("./parent_watch.ts", import.meta.url), { type: "module" });
watchdog.postMessage({ parent: Deno.ppid });

let temporaryFolder: string | undefined;

/** Ends the process and removes its temporary files, because a killed parent does not. */
function end(): never {
  if (temporaryFolder !== undefined) rmSync(temporaryFolder, { recursive: true, force: true });
  Deno.exit(0);
}

const channel: HostChannel<HostReply> = {
  send(message) {
    const bytes = encodeJsonText(message);
    try {
      for (let sent = 0; sent < bytes.length;) sent += Deno.stdout.writeSync(bytes.subarray(sent));
    } catch {
      // The parent was killed while a step blocked this thread.
      end();
    }
  },
  onMessage: () => {},
};
hostStages(channel, openLocalPlace);
for await (const message of decodeJsonTexts(Deno.stdin.readable)) {
  const request = hostRequestSchema.safeParse(message).data;
  if (request?.type === "run") {
    temporaryFolder = request.temporary ? request.store : request.spare;
    watchdog.postMessage({ temporaryFolder });
  }
  channel.onMessage(message);
}
end();
