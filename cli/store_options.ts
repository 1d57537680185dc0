/**
 * The options for the store, the executors and the plugins of a run.
 *
 * @module
 */

import { type Command, InvalidArgumentError } from "commander";
import { resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { RunStore } from "../artifacts/store/store.ts";
import type { SnapshotPolicy } from "../graph/snapshots.ts";
import type { Executor } from "../graph/executors/executor.ts";
import type { ByNode } from "../graph/placement.ts";
import { loadPlugins } from "../graph/plugins.ts";
import { type LocalRun, localRun, type LocalRunOptions } from "../local.ts";
import { requireDevice } from "../devices/local_devices.ts";
import { executorAt, isExecutorAddress } from "../queue/executor_at.ts";
import { isQueueAddress } from "../queue/address.ts";
import { checkPrecision, type Precision, type PrecisionByStage } from "../models/precision.ts";
import { type Device, deviceTraits } from "../runtime/device.ts";
import { wholeNumber } from "./option_values.ts";
import { openRunStore } from "./run_store.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

/** The parsed options. Paths are as the user gave them. */
export interface StoreOptions {
  /** A folder, or the address of a server or a bucket; `false` to store nothing. */
  readonly store?: string | boolean | undefined;
  /** Executors by node or stage. `*` stands for all others. */
  readonly executor?: Readonly<Record<string, string>> | undefined;
  /** Number of steps between two snapshots; 0 for none. */
  readonly checkpointEvery?: number | undefined;
  /** Plugin modules that the run is allowed to load. */
  readonly plugin?: readonly string[] | undefined;
}

/** The result of {@linkcode openRun}. */
export type OpenRun = LocalRun & {
  readonly store: RunStore | undefined;
  readonly placement: ByNode<string>;
  readonly snapshots: SnapshotPolicy | false | undefined;
  /** The addresses of the loaded plugins. */
  readonly plugins: readonly string[];
  /** A warning for the user before the run starts. */
  readonly warning: string | undefined;
};

/** Adds the options for the store, the executors and the plugins. */
export function addStoreOptions(command: Command): Command {
  return addExecutorOptions(
    command
      .option(
        "--store <dir|url>",
        "store of results, which later runs reuse: a folder, a server, s3://BUCKET (default: in the user's cache)",
      )
      .option(
        "--no-store",
        "do not store results, and run all stages; inputs are still read from the default store",
      )
      .option(
        "--checkpoint-every <n>",
        "save a snapshot every n steps; 0 for never (default: every 5 seconds)",
        wholeNumber(0),
      ),
  );
}

/** Adds the options for the executors and the plugins. */
export function addExecutorOptions(command: Command): Command {
  return command
    .option(
      "--executor <node=name,...>",
      "where stages run: inline, worker, process, or the address of a server or a queue; one name applies to all",
      placement,
    )
    .option(
      "--plugin <module>",
      "load the stages of a module: a file, npm:, jsr: or https:; repeatable",
      list,
    );
}

/**
 * Throws if a device does not support one of the precisions.
 *
 * @throws {InputError} for the first that it does not support.
 */
export function requirePrecisions(precisions: ReadonlySet<Precision>, device: Device): void {
  for (const precision of precisions) checkPrecision(precision, { device, traits: deviceTraits(device) });
}

/**
 * Opens the store, the executors and the plugins of a run.
 *
 * @param options The store, the executors, the precision and the plugins.
 * @param local Where to find checkpoints, and which device to run on.
 * @returns Options for `runGraph`.
 * @throws {DeviceError} if the device cannot run here.
 * @throws {InputError} if the device does not support the precision.
 */
export async function openRun(
  options: StoreOptions & { readonly precision?: PrecisionByStage | undefined },
  local: LocalRunOptions,
): Promise<OpenRun> {
  const { device = "cpu" } = local;
  const precisions = new Set(Object.values(options.precision ?? {}));
  requirePrecisions(precisions, device);
  await requireDevice(device, { float16: precisions.has("float16") });
  const { store: place, executor = {}, checkpointEvery, plugin = [] } = options;
  if (place === false && Object.values(executor).some(isQueueAddress)) {
    throw new UsageError(
      "Cannot run stages on a queue without a store: give one that the workers share",
      "store",
    );
  }
  const { store, warning } = place === false
    ? {}
    : await openRunStore(typeof place === "string" ? place : undefined, local.onWarning);
  const plugins = plugin.map((module) => pluginAddress(module, userPath(".")));
  const run = localRun({ ...local, store, plugins });
  await loadPlugins(run.registry, plugins);
  const { "*": first, ...byNode } = executor;
  const executors: OpenRun["executors"] = [
    ...run.executors,
    ...await executorsElsewhere(Object.values(executor), local.onWarning),
  ];
  return {
    ...run,
    store,
    plugins,
    warning,
    executors: first === undefined ? executors : withFirst(executors, first),
    placement: byNode,
    snapshots: checkpointEvery === undefined
      ? undefined
      : checkpointEvery > 0 && { everySteps: checkpointEvery },
  };
}

/**
 * Returns the address of a plugin.
 *
 * @param module A path, or a specifier with a scheme.
 * @param folder The folder that a path is relative to.
 */
export function pluginAddress(module: string, folder: string): string {
  if (/^[a-z][a-z+.-]+:/.test(module)) return module;
  return pathToFileURL(resolve(folder, module)).href;
}

/** Creates executors for the names that are addresses of servers or queues. */
async function executorsElsewhere(
  names: readonly string[],
  onRetry: ((message: string) => void) | undefined,
): Promise<Executor[]> {
  const { PIXSTAGE_TOKEN } = process.env;
  const addresses = [...new Set(names)].filter(isExecutorAddress);
  return await Promise.all(
    addresses.map((address) => executorAt(address, { token: PIXSTAGE_TOKEN || undefined, onRetry })),
  );
}

function withFirst(
  executors: readonly [Executor, ...Executor[]],
  name: string,
): readonly [Executor, ...Executor[]] {
  const first = executors.find((executor) => executor.name === name);
  if (first) return [first, ...executors.filter((executor) => executor !== first)];
  const names = executors.map((executor) => executor.name).join(", ");
  throw new UsageError(
    `Cannot run stages because the executor must be one of ${names}: current value is "${name}"`,
    "executor",
  );
}

/** Parses `NODE=NAME,...`, or a single `NAME`, whose key becomes `*`. */
function placement(text: string, gathered: Record<string, string> = {}): Record<string, string> {
  const pairs = text.split(",").map((part): [string, string] => {
    const equals = part.indexOf("=");
    if (part === "" || equals === 0) {
      throw new InvalidArgumentError("It must be NODE=NAME, or one NAME for all nodes.");
    }
    return equals < 0 ? ["*", part] : [part.slice(0, equals), part.slice(equals + 1)];
  });
  return { ...gathered, ...Object.fromEntries(pairs) };
}

function list(value: string, gathered: readonly string[] = []): string[] {
  return [...gathered, value];
}
