/**
 * The place of stages that run on this machine outside the calling thread.
 *
 * @module
 */

import { z } from "zod";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import { LocalModels, type LocalModelsOptions } from "../../hub/local_models.ts";
import { DEVICES } from "../../runtime/device.ts";
import { OnnxRuntimeNode, type OnnxRuntimeNodeOptions } from "../../runtime/onnxruntime_node.ts";
import { residencySchema } from "../../residency/residency_option.ts";
import { builtInStages } from "../../stages/mod.ts";
import { loadPlugins } from "../plugins.ts";
import type { HostSettings } from "./protocol.ts";
import type { HostPlace } from "./stage_host.ts";

const modelsSchema = z.object({
  endpoint: z.string().optional(),
  token: z.string().optional(),
  cacheDir: z.string().optional(),
  localFilesOnly: z.boolean().optional(),
});

const runtimeSchema = z.object({
  device: z.enum(DEVICES).optional(),
  threads: z.int().positive().optional(),
  residency: residencySchema.optional(),
});

/** Checkpoints of the disk and the hub, ONNX Runtime, the built-in stages and those of plugins. */
export async function openLocalPlace(settings: HostSettings): Promise<HostPlace> {
  return {
    registry: await loadPlugins(builtInStages(), settings.plugins),
    models: new LocalModels(modelsSchema.parse(settings.models) as LocalModelsOptions),
    runtime: new OnnxRuntimeNode(runtimeSchema.parse(settings.runtime) as OnnxRuntimeNodeOptions),
    store: settings.store === undefined ? undefined : new FolderStore(settings.store),
    spare: settings.spare === undefined ? undefined : new FolderStore(settings.spare),
  };
}
