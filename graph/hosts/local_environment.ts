/**
 * The environment of stages that run on this machine outside the calling thread.
 *
 * @module
 */

import { constants, platform, setPriority } from "node:os";
import { z } from "zod";
import "../../images/codecs_in_node.ts";
import { asJson } from "../../artifacts/canonical_json.ts";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import { ListedModels } from "../../hub/listed_models.ts";
import { LocalModels } from "../../hub/local_models.ts";
import { deviceSchema } from "../../runtime/device.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { threadsSchema } from "../../runtime/threads.ts";
import { builtInStages } from "../../stages/mod.ts";
import { InlineExecutor } from "../executors/inline.ts";
import { rememberedFingerprint } from "../fingerprint_memo.ts";
import { loadPlugins } from "../plugins.ts";
import { hostModelsSchema } from "./host_models.ts";
import type { HostSettings } from "./protocol.ts";
import type { HostEnvironment, HubHandlers } from "./stage_host.ts";

const runtimeSchema = z.strictObject({
  device: deviceSchema.optional(),
  threads: threadsSchema.optional(),
});

/** Opens checkpoints on disk and from the hub, ONNX Runtime, the built-in stages and those of plugins. */
export async function openLocalEnvironment(
  settings: HostSettings,
  { onDownload, onWarning }: HubHandlers,
): Promise<HostEnvironment> {
  if (settings.background) giveWay();
  const { listed, loras, ...options } = hostModelsSchema.parse(settings.models);
  const local = new LocalModels({
    ...options,
    onProgress: (progress) => onDownload(asJson(progress) as JsonObject),
    onWarning,
  });
  const models = listed ? new ListedModels(listed, local, loras) : local;
  const runtime = new OnnxRuntimeNode(runtimeSchema.parse(settings.runtime));
  const { fingerprints } = settings;
  return {
    registry: await loadPlugins(builtInStages(), settings.plugins),
    runtime,
    executor: new InlineExecutor({
      models,
      runtime,
      fingerprint: fingerprints === undefined ? undefined : rememberedFingerprint(fingerprints),
    }),
    openStore: (folder) => new FolderStore(folder),
  };
}

/** Lowers the scheduling priority. On Linux this applies to this thread and those that it starts. */
function giveWay(): void {
  try {
    if (platform() === "linux") setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // If that is forbidden, all processes have the same priority.
  }
}
