/**
 * The program of a child process that runs stages: messages come by the standard input and go by the standard output.
 * It ends when the input ends, and when its parent is gone.
 *
 * @module
 */

import { rmSync } from "node:fs";
import { decodeJsonTexts, encodeJsonText } from "./json_sequence.ts";
import { openLocalPlace } from "./local_place.ts";
import { type HostChannel, type HostReply, hostRequestSchema } from "./protocol.ts";
import { hostStages } from "./stage_host.ts";

// Ctrl-C in a terminal goes to parent and child alike. The parent decides what happens.
Deno.addSignalListener("SIGINT", () => {});

const watchdog = new Worker(new URL("./parent_watch.ts", import.meta.url), { type: "module" });
watchdog.postMessage({ parent: Deno.ppid });

let temporaryFolder: string | undefined;

/** Ends the process, of which nothing stays: a parent that was killed removes no folder. */
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
