/**
 * Collects what an issue must say about a machine: versions, devices, memory, folders, models, environment
 * and permissions.
 *
 * @module
 */

import { release, type as systemName } from "node:os";
import process from "node:process";
import { type FolderFacts, folderFacts } from "../../disk/folder_facts.ts";
import { defaultStoreFolder } from "../../artifacts/store/default_folder.ts";
import project from "../../deno.json" with { type: "json" };
import type { DeviceFacts } from "../../devices/device_probe.ts";
import { localDevices } from "../../devices/local_devices.ts";
import { toPixstageError } from "../../errors/foreign_error.ts";
import { prepareRun } from "../../graph/prepared_run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { hubSettings } from "../../hub/hub_settings.ts";
import { type ListedModel, listModels } from "../../hub/list_models.ts";
import { localRun } from "../../local.ts";
import { defaultQuantizedFolder } from "../../models/quantization/default_folder.ts";
import type { PermissionName, PermissionState } from "../../permissions/granted_permissions.ts";
import { LIBRARY_VERSION } from "../../runtime/onnxruntime_node.ts";
import { type Processor, processor } from "../../system/processor.ts";
import { type SystemMemory, systemMemory } from "../../system/system_memory.ts";
import { userFolder } from "../user_path.ts";
import { shownEnvironment } from "./environment.ts";

/** The folders that pixstage writes. */
export interface WrittenFolders {
  /** The user's folder, where pictures go. */
  readonly pictures: FolderFacts;
  /** The store of results. */
  readonly store: FolderFacts;
  /** The quantized weights. */
  readonly quantized: FolderFacts;
  /** The hub's cache of downloads. */
  readonly hub: FolderFacts;
}

/** The memory plan of a run of one picture, or the reason why there is none. */
export interface TrialRun {
  readonly model: string;
  /** Predicted peak of resident memory in bytes. */
  readonly predictedPeak?: number;
  /** The reason why the run would be refused. */
  readonly fault?: string;
}

/** The state of a machine. */
export interface MachineReport {
  readonly versions: Readonly<Record<string, string>>;
  readonly system: string;
  readonly processor: Processor;
  readonly memory: SystemMemory;
  readonly devices: readonly DeviceFacts[];
  readonly folders: WrittenFolders;
  readonly models: readonly ListedModel[];
  readonly run: TrialRun;
  readonly environment: Readonly<Record<string, string>>;
  /** The state of each permission; absent under Node. */
  readonly permissions?: Readonly<Record<PermissionName, PermissionState>> | undefined;
}

/** The choices of the user. */
export interface ReportOptions {
  /** The model of the trial run. */
  readonly model: string;
  /** The hub's cache, if it is not the default one. */
  readonly cacheDir?: string | undefined;
}

/** Collects the state of this machine. Computes one attention layer on each device, and no picture. */
export async function machineReport(
  options: ReportOptions,
  permissions: MachineReport["permissions"],
): Promise<MachineReport> {
  // The probe of devices sets variables itself.
  const environment = shownEnvironment();
  const { cacheDir } = await hubSettings({ cacheDir: options.cacheDir });
  return {
    versions: versions(),
    system: `${systemName()} ${release()}`,
    processor: processor(),
    memory: systemMemory(),
    devices: await localDevices(),
    folders: {
      pictures: await folderFacts(userFolder(), { measured: false }),
      store: await folderFacts(defaultStoreFolder()),
      quantized: await folderFacts(defaultQuantizedFolder()),
      hub: await folderFacts(cacheDir),
    },
    models: await listModels({ cacheDir }),
    run: await trialRun(options),
    environment,
    permissions,
  };
}

/** Returns the versions of pixstage and of what it runs on. */
function versions(): Readonly<Record<string, string>> {
  const { deno, node, v8 } = process.versions;
  return {
    pixstage: project.version,
    ...(deno === undefined ? { Node: node } : { Deno: deno }),
    V8: v8,
    "ONNX Runtime": LIBRARY_VERSION,
  };
}

/** Prepares a run of one picture with the model's defaults. Reads configurations and headers of weights. */
async function trialRun({ model, cacheDir }: ReportOptions): Promise<TrialRun> {
  try {
    const graph = textToImage({ model, prompts: ["cute cat"] });
    const { memory } = await prepareRun(graph, { ...localRun({ cacheDir, fetches: false }), isTrial: true });
    return { model, predictedPeak: memory.predictedPeak };
  } catch (error) {
    const { fault, message } = toPixstageError(error);
    // The model does not exist, which is not the machine's fault.
    if (fault === "caller") throw error;
    return { model, fault: message };
  }
}
