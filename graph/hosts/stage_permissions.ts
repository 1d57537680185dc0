/**
 * The permissions of the processes that run stages.
 *
 * @module
 */

import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { hubCacheFolder } from "../../hub/hub_settings.ts";
import { defaultQuantizedFolder } from "../../models/quantization/default_folder.ts";
import { onnxRuntimeFolder } from "../../runtime/cuda_environment.ts";
import { heldFlags, PROJECT } from "../../permissions/permission_sets.ts";
import { hostModelsSchema } from "./host_models.ts";
import type { HostSettings } from "./protocol.ts";

/**
 * Returns Deno's permission flags for a process that runs stages. It reaches the network only if it may
 * download models.
 *
 * @param settings The settings of the host in the process.
 */
export function stagePermissions(
  { models = {}, plugins = [], fingerprints }: Partial<HostSettings>,
): string[] {
  const { cacheDir, localFilesOnly = false, listed = [], loras = [] } = hostModelsSchema.parse(models);
  const references = [...listed, ...loras].map(({ reference }) => reference);
  const modules = plugins.filter((plugin) => plugin.startsWith("file:")).map((plugin) =>
    fileURLToPath(plugin)
  );
  const folders = [
    tmpdir(),
    defaultQuantizedFolder(),
    hubCacheFolder(cacheDir),
    PROJECT,
    onnxRuntimeFolder(),
  ];
  return heldFlags("stage", {
    paths: [...folders, ...(fingerprints === undefined ? [] : [fingerprints]), ...references, ...modules],
    network: !localFilesOnly,
  });
}
