/**
 * The module of a worker that runs stages.
 *
 * @module
 */

import { openLocalPlace } from "./local_place.ts";
import type { HostChannel, HostReply } from "./protocol.ts";
import { hostStages } from "./stage_host.ts";

/** What a worker's global object offers here. */
const self = globalThis as unknown as {
  postMessage(message: unknown, transfer: readonly ArrayBuffer[]): void;
  onmessage: (event: { data: unknown }) => void;
};

const channel: HostChannel<HostReply> = {
  send: (message, transfer = []) => self.postMessage(message, transfer),
  onMessage: () => {},
};
self.onmessage = ({ data }) => channel.onMessage(data);
hostStages(channel, openLocalPlace);
