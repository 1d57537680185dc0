// This module is browser compatible.

/**
 * What passes between an executor and the stage host that runs its stages elsewhere: in a worker, in a child process, on
 * another machine. Every message is plain JSON, but for artifacts that are sent along; these travel in the message where
 * the channel can carry them, and by id through a store where both sides can open it.
 *
 * @module
 */

import { z } from "zod";
import type { Artifact, JsonObject } from "../../artifacts/artifact.ts";
import { sha256Schema } from "../../artifacts/store/stage_record.ts";
import { checkpointPolicySchema } from "../checkpoints.ts";
import { stageMemorySchema } from "../events.ts";
import { stageReportSchema } from "../../stages/stage_report.ts";

/** The protocol's version. Both sides must speak the same. */
export const PROTOCOL_VERSION = 1;

const object = z.custom<JsonObject>(
  (value) => value !== null && typeof value === "object" && !Array.isArray(value),
  "It must be an object",
);

/** An artifact by id, and itself where the channel carries it. */
const sentArtifactSchema = z.strictObject({
  id: sha256Schema.optional(),
  artifact: z.custom<Artifact>((value) => value !== null && typeof value === "object").optional(),
}).refine(({ id, artifact }) => id !== undefined || artifact !== undefined, "It must have an id or be there");

/** What a stage host is told of the place that it works in. */
export const hostSettingsSchema = z.strictObject({
  /** The folder of the store that both sides open; artifacts travel in the messages without one. */
  store: z.string().optional(),
  /** A folder for artifacts that the store cannot take, where they do not travel in the messages. */
  spare: z.string().optional(),
  /** Modules that bring stages of their own. */
  plugins: z.array(z.string()),
  /** Where checkpoints are found. */
  models: object,
  /** What graphs run on. */
  runtime: object,
});

/** A message to a stage host. */
export const hostRequestSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("open"), version: z.int(), settings: hostSettingsSchema }),
  z.strictObject({
    type: z.literal("run"),
    /** Tells this run from others of the same host. */
    run: z.string(),
    /** The node's id, for reports. */
    node: z.string(),
    stage: z.string(),
    stageVersion: z.string(),
    parameters: object,
    inputs: z.record(z.string(), sentArtifactSchema),
    /** When states are kept; absent where none are. */
    checkpoints: checkpointPolicySchema.optional(),
    /** The state to begin from. */
    saved: sentArtifactSchema.optional(),
    /** Whether the stage is to report what pictures have come to. */
    previews: z.boolean().optional(),
  }),
  z.strictObject({ type: z.literal("cancel"), run: z.string() }),
  /** Answers a checkpoint: it is kept, the stage may go on. */
  z.strictObject({ type: z.literal("kept"), run: z.string() }),
]);

/** A message from a stage host. */
export const hostReplySchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("ready"), version: z.int() }),
  z.strictObject({ type: z.literal("report"), run: z.string(), event: stageReportSchema }),
  z.strictObject({ type: z.literal("checkpoint"), run: z.string(), state: sentArtifactSchema }),
  z.strictObject({
    type: z.literal("done"),
    run: z.string(),
    outputs: z.record(z.string(), sentArtifactSchema),
    memory: stageMemorySchema.optional(),
  }),
  z.strictObject({
    type: z.literal("failed"),
    /** Absent where the host could not be opened. */
    run: z.string().optional(),
    error: z.strictObject({ name: z.string(), message: z.string(), stack: z.string().optional() }),
  }),
]);

/** An artifact by id, and itself where the channel carries it. */
export type SentArtifact = z.infer<typeof sentArtifactSchema>;

/** What a stage host is told of the place that it works in. */
export type HostSettings = z.infer<typeof hostSettingsSchema>;

/** A message to a stage host. */
export type HostRequest = z.infer<typeof hostRequestSchema>;

/** A message from a stage host. */
export type HostReply = z.infer<typeof hostReplySchema>;

/** A way for messages of the protocol, seen from the side that sends `Sent`. */
export interface HostChannel<Sent extends HostRequest | HostReply> {
  /** Sends a message. Buffers of artifacts in it are transferred where `transfer` names them. */
  send(message: Sent, transfer?: readonly ArrayBuffer[]): void;
  /** Takes what arrives; set before anything is sent. */
  onMessage: (message: unknown) => void;
}
