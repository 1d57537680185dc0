/**
 * State that the server's routes share.
 *
 * @module
 */

import type { RunStore } from "../artifacts/store/store.ts";
import type { PrecisionByStage } from "../models/precision.ts";
import type { StageRegistry } from "../stages/registry.ts";
import type { ArtifactFiles } from "./artifact_files.ts";
import type { Engine } from "./engine/engine.ts";
import type { Jobs } from "./jobs/jobs.ts";
import type { Limits } from "./limits.ts";
import type { McpSessions } from "./mcp/sessions.ts";
import type { PictureOrder } from "./pictures/picture_order.ts";
import type { Pictures } from "./pictures/pictures.ts";
import type { PictureLinks } from "./picture_links.ts";
import type { PeerAddress, PublicAddress } from "./public_address.ts";
import type { ServedLora } from "./served_loras.ts";
import type { ServedModel } from "./served_models.ts";
import type { AllowedHosts } from "./webhooks/allowed_hosts.ts";

/** State that the routes share. */
export interface ServerContext {
  /** Limits on requests. */
  readonly limits: Limits;
  /** The models that requests may name, the default one first. */
  readonly models: readonly ServedModel[];
  /** Names of the models and autoencoders that can decode latents. */
  readonly decoders: readonly string[];
  /** Names of the models and transformers that can denoise. */
  readonly transformers: readonly string[];
  /** Names of the ControlNets. */
  readonly controlnets: readonly string[];
  /** The LoRA adapters that requests may name. */
  readonly loras: readonly ServedLora[];
  /** The stages that graphs may name. */
  readonly registry: StageRegistry;
  /** Runs graphs. */
  readonly engine: Engine;
  /** Encodes pictures of artifacts as files. */
  readonly pictures: Pictures;
  /** Unfinished and finished jobs. */
  readonly jobs: Jobs;
  /** The store of artifacts and of the records that describe how each was made. */
  readonly store: RunStore;
  /** The store's files. */
  readonly artifacts: ArtifactFiles;
  /** Makes picture links that need no API key. */
  readonly links: PictureLinks;
  /**
   * Returns a link that leads straight to a picture in S3, or undefined if the picture is missing. Set only
   * if the store is in S3.
   */
  readonly publish?: ((order: PictureOrder) => Promise<string | undefined>) | undefined;
  /** The hosts that webhooks may be sent to. */
  readonly webhookHosts: AllowedHosts;
  /** Open sessions of the Model Context Protocol. */
  readonly sessions: McpSessions;
  /** The precision of picture requests that name none; float32 if undefined. */
  readonly precision?: PrecisionByStage | undefined;
  /** Milliseconds between two heartbeats in an event stream. */
  readonly heartbeatMs: number;
}

/** The part of the context that validates requests. It also exists where no server runs them. */
export type PlanningContext =
  & Pick<
    ServerContext,
    "limits" | "models" | "decoders" | "transformers" | "controlnets" | "loras" | "registry" | "precision"
  >
  & { readonly engine: Pick<Engine, "check" | "keepsHosts" | "hosts"> };

/** Per-request environment of the routes. */
export interface ServerEnv {
  Bindings: {
    /** The client's address. If trusted proxies forward the request, it is the address that they report. */
    readonly remoteAddr?: PeerAddress | undefined;
    /** The address with which the client reached the server. */
    readonly address: PublicAddress;
  };
  Variables: {
    /** The request's id, which the reply's `X-Request-Id` and the log repeat. */
    requestId: string;
    /** Whether the client disconnected before it had sent the whole body. */
    isCutOff?: true;
  };
}
