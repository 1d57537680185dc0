// This module is browser compatible.

/**
 * The messages between an executor and a host, i.e. a worker or a child process that runs stages. Every
 * message is plain JSON, except for artifacts. An artifact travels in the message if the channel can carry
 * it, or else by id through a store that both sides can open.
 *
 * @module
 */

import { serializedErrorSchema } from "../../errors/serialized_error.ts";
import { z } from "zod";
import type { Artifact, JsonObject } from "../../artifacts/artifact.ts";
import { outlineSchema } from "../../artifacts/outline.ts";
import { sha256Schema } from "../../artifacts/store/stage_record.ts";
import { precisionSchema } from "../../models/precision.ts";
import { residencySchema } from "../../models/segments.ts";
import { stageReportSchema } from "../../stages/stage_report.ts";
import { stageMemorySchema } from "../events.ts";
import { preparationSchema } from "../executors/executor.ts";
import { snapshotPolicySchema } from "../snapshots.ts";

/** Version of the protocol. Both sides must use the same one. */
export const PROTOCOL_VERSION = 3;

const object = z.custom<JsonObject>(
  (value) => value !== null && typeof value === "object" && !Array.isArray(value),
  "It must be an object",
);

/** An artifact by id, or the artifact itself if the channel can carry it. */
const sentArtifactSchema = z.strictObject({
  id: sha256Schema.optional(),
  artifact: z.custom<Artifact>((value) => value !== null && typeof value === "object").optional(),
}).refine(
  ({ id, artifact }) => id !== undefined || artifact !== undefined,
  "It must have an id or an artifact",
);

/** The settings of a host. */
export const hostSettingsSchema = z.strictObject({
  /** Modules that bring stages, architectures and schedulers. */
  plugins: z.array(z.string()),
  /** The sources of checkpoints. */
  models: object,
  /** Options of the ONNX runtime. */
  runtime: object,
  /** A folder for the memo of weight fingerprints. */
  fingerprints: z.string().optional(),
  /** Whether the host runs at low priority, e.g. next to a server that answers requests. */
  background: z.boolean().optional(),
});

/** A node that a host prepares or runs. */
export const hostTaskSchema = z.strictObject({
  /** The node's id, for reports. */
  node: z.string(),
  stage: z.string(),
  stageVersion: z.string(),
  parameters: object,
  /** Outlines of the artifacts at the connected input ports. */
  outlines: z.record(z.string(), outlineSchema),
  residency: residencySchema.optional(),
  lowestPrecision: precisionSchema.optional(),
});

/** A message to a host. */
export const hostRequestSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("open"), version: z.int(), settings: hostSettingsSchema }),
  z.strictObject({ type: z.literal("prepare"), id: z.string(), task: hostTaskSchema }),
  z.strictObject({
    type: z.literal("run"),
    id: z.string(),
    task: hostTaskSchema,
    inputs: z.record(z.string(), sentArtifactSchema),
    /** Folder of a store that both sides open. Without it, artifacts travel in the messages. */
    store: z.string().optional(),
    /** Whether that folder is deleted together with the host. */
    temporary: z.boolean().optional(),
    /** A folder for artifacts that the store cannot take, if they do not travel in the messages. */
    spare: z.string().optional(),
    /** When to store snapshots. Absent if none are stored. */
    snapshots: snapshotPolicySchema.optional(),
    /** The snapshot to start from. */
    saved: sentArtifactSchema.optional(),
    /** Whether the stage reports intermediate images. */
    previews: z.boolean().optional(),
  }),
  z.strictObject({ type: z.literal("cancel"), id: z.string() }),
  /** Acknowledges a snapshot. The stage can continue. */
  z.strictObject({ type: z.literal("kept"), id: z.string() }),
]);

/** A message from a host. */
export const hostReplySchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("ready"), version: z.int() }),
  z.strictObject({ type: z.literal("prepared"), id: z.string(), preparation: preparationSchema }),
  z.strictObject({ type: z.literal("report"), id: z.string(), event: stageReportSchema }),
  z.strictObject({ type: z.literal("download"), progress: object }),
  /** A warning about a hub that cannot be reached while models are opened. */
  z.strictObject({ type: z.literal("warning"), message: z.string() }),
  z.strictObject({ type: z.literal("snapshot"), id: z.string(), state: sentArtifactSchema }),
  z.strictObject({
    type: z.literal("done"),
    id: z.string(),
    outputs: z.record(z.string(), sentArtifactSchema),
    memory: stageMemorySchema.optional(),
    /** Whether the host released its resident weights because they used too much memory. */
    released: z.boolean().optional(),
  }),
  z.strictObject({
    type: z.literal("failed"),
    /** Absent if the host could not be opened. */
    id: z.string().optional(),
    error: serializedErrorSchema,
  }),
]);

/** An artifact by id, or the artifact itself if the channel can carry it. */
export type SentArtifact = z.infer<typeof sentArtifactSchema>;

/** The settings of a host. */
export type HostSettings = z.infer<typeof hostSettingsSchema>;

/** A node that a host prepares or runs. */
export type HostTask = z.infer<typeof hostTaskSchema>;

/** A message to a host. */
export type HostRequest = z.infer<typeof hostRequestSchema>;

/** A message from a host. */
export type HostReply = z.infer<typeof hostReplySchema>;

/** A channel for messages of the protocol, from the point of view of the side that sends `Sent`. */
export interface HostChannel<Sent extends HostRequest | HostReply> {
  /** Sends a message. Transfers the artifact buffers that `transfer` names. */
  send(message: Sent, transfer?: ArrayBuffer[]): void;
  /** Called with each message that arrives. Set it before sending anything. */
  onMessage: (message: unknown) => void;
}
