/**
 * What the routes of the server share.
 *
 * @module
 */

import type { RunStore } from "../artifacts/store/store.ts";
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

/** What the routes share. */
export interface ServerContext {
  /** The bounds of requests. */
  readonly limits: Limits;
  /** The models that requests may name, the default one first. */
  readonly models: readonly ServedModel[];
  /** What can decode latents, by name. */
  readonly decoders: readonly string[];
  /** What can denoise, by name. */
  readonly transformers: readonly string[];
  /** ControlNets. */
  readonly controlnets: readonly string[];
  /** The LoRA adapters that requests may name. */
  readonly loras: readonly ServedLora[];
  /** The stages that graphs may name. */
  readonly registry: StageRegistry;
  /** Runs graphs. */
  readonly engine: Engine;
  /** Writes pictures of artifacts as files. */
  readonly pictures: Pictures;
  /** Jobs in flight and jobs that have ended. */
  readonly jobs: Jobs;
  /** The store: what was made, and how. */
  readonly store: RunStore;
  /** The store's files. */
  readonly artifacts: ArtifactFiles;
  /** Makes links to pictures that need no API key. */
  readonly links: PictureLinks;
  /**
   * Makes links to pictures in S3, where the store is there: they lead past the server. Gives none for a picture that is
   * not there.
   */
  readonly publish?: ((order: PictureOrder) => Promise<string | undefined>) | undefined;
  /** The hosts that webhooks may be sent to. */
  readonly webhookHosts: AllowedHosts;
  /** Sessions of the Model Context Protocol. */
  readonly sessions: McpSessions;
  /** Milliseconds between two signs of life in a stream of events. */
  readonly heartbeatMs: number;
}

/** What requests are held against, also where no server runs them. */
export type PlanningContext =
  & Pick<
    ServerContext,
    "limits" | "models" | "decoders" | "transformers" | "controlnets" | "loras" | "registry"
  >
  & { readonly engine: Pick<Engine, "check" | "keepsHosts" | "hosts"> };

/** What the server knows of the request at hand. */
export interface ServerEnv {
  Bindings: {
    /** Where the request came from: the client, where trusted proxies pass it on. */
    readonly remoteAddr?: PeerAddress | undefined;
    /** How the client addressed the server. */
    readonly address: PublicAddress;
  };
  Variables: {
    /** The request's id, also in the reply's `X-Request-Id` and in the log. */
    requestId: string;
    /** Whether the client left before its body was whole. */
    isCutOff?: true;
  };
}
