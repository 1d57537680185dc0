/**
 * The module of a worker that runs stages.
 *
 * @module
 */

import { listenInWorker } from "../../system/worker.ts";
import { openLocalEnvironment } from "./local_environment.ts";
import type { HostChannel, HostReply } from "./protocol.ts";
import { hostStages } from "./stage_host.ts";

const channel: HostChannel<HostReply> = {
  send: listenInWorker((message) => channel.onMessage(message)),
  onMessage: () => {},
};
hostStages(channel, openLocalEnvironment);
