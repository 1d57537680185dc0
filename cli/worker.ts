/**
 * `worker`: runs stages from a queue.
 *
 * @module
 */

import { Command, Option } from "commander";
import { stderr } from "node:process";
import type { JsonObject } from "../artifacts/artifact.ts";
import { asJson } from "../artifacts/canonical_json.ts";
import { requireDevice } from "../devices/local_devices.ts";
import { ProcessExecutor } from "../graph/executors/process.ts";
import { loadPlugins } from "../graph/plugins.ts";
import { EMBEDDED_LORAS } from "../hub/embedded_model.ts";
import type { ModelEntry } from "../hub/listed_models.ts";
import { listModels } from "../hub/list_models.ts";
import type { Residency } from "../models/segments.ts";
import { parseQueueAddress } from "../queue/address.ts";
import { type Device, DEVICES } from "../runtime/device.ts";
import { MOST_THREADS } from "../runtime/threads.ts";
import { builtInStages } from "../stages/mod.ts";
import type { StageRegistry } from "../stages/registry.ts";
import { interruptSignal } from "./interrupt.ts";
import { modelEntry } from "./model_entry.ts";
import { parsedBy, wholeNumber } from "./option_values.ts";
import { openRunStore } from "./run_store.ts";
import { writeLine } from "./standard_streams.ts";
import { pluginAddress } from "./store_options.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

/** The parsed options of `worker`. */
interface WorkerOptions {
  readonly queue: string;
  readonly stages?: readonly string[];
  readonly models?: readonly ModelEntry[];
  readonly loras?: readonly ModelEntry[];
  readonly store?: string;
  readonly concurrency?: number;
  readonly lanes?: number;
  readonly lease: number;
  readonly device: Device;
  readonly threads?: number;
  readonly residency?: Residency;
  readonly plugin?: readonly string[];
  readonly drain?: boolean;
  readonly quiet?: boolean;
}

/** Time, in ms, that a stage has to stop at its next step before its process is killed. */
const GRACE_MS = 5000;

/** Creates the `worker` command. */
export function workerCommand(): Command {
  return new Command("worker")
    .description("Runs stages from a queue, for runs with --executor queue:… and servers with --queue.")
    .requiredOption(
      "--queue <address>",
      "redis://HOST:PORT/DATABASE or postgres://USER@HOST:PORT/DATABASE",
      parsedBy((text) => (parseQueueAddress(text), text)),
    )
    .option("--stages <name,...>", "stages to run (default: all)", names)
    .option(
      "-m, --models <name=dir,...>",
      "models to run, under the names that runs use (default: all on this machine)",
      modelEntries,
    )
    .option(
      "--loras <name=dir,...>",
      "LoRAs to apply, files or folders, under the names that runs use (default: those of the embedded model if " +
        "--models is not given)",
      modelEntries,
    )
    .option("--store <dir|url>", "store that runs and workers share (default: in the user's cache)")
    .option("--concurrency <n>", "number of jobs that run at once (default: 1)", wholeNumber(1, MOST_THREADS))
    .addOption(
      new Option("--lanes <n>", "former name of --concurrency").argParser(wholeNumber(1, MOST_THREADS))
        .hideHelp(),
    )
    .option(
      "--lease <seconds>",
      "how long a worker may be silent before its job goes to another worker",
      wholeNumber(1),
      10,
    )
    .addOption(
      new Option("--device <name>", "device to run on; `devices` lists the available ones").choices(DEVICES)
        .default(
          "cpu",
        ),
    )
    .option("--threads <n>", "threads per operation (default: all cores)", wholeNumber(1, MOST_THREADS))
    .addOption(
      new Option("--residency <name>", "how long weights stay in memory (default: as each run requests)")
        .choices([
          "stream",
          "stage",
          "resident",
        ]),
    )
    .option(
      "--plugin <module>",
      "load the stages, architectures and schedulers of a module; repeatable",
      (module: string, before: readonly string[] = []) => [...before, module],
    )
    .option("--drain", "exit when no job waits")
    .option("-q, --quiet", "write no log")
    .addHelpText("after", "\nThe password of the queue comes from PIXSTAGE_QUEUE_PASSWORD.")
    .action(worker);
}

/** Runs the worker until a signal stops it, or with `--drain` until no job waits. */
async function worker(options: WorkerOptions): Promise<void> {
  const { queue, lanes = 1, concurrency = lanes, lease, device, threads, residency, drain, quiet } = options;

  // 1. Refuse invalid options.
  const plugins = (options.plugin ?? []).map((module) => pluginAddress(module, userPath(".")));
  const registry = await loadPlugins(builtInStages(), plugins);
  const stages = options.stages ?? registry.list().map(({ name }) => name);
  for (const name of stages) requireStage(name, registry);
  await requireDevice(device);
  const { store, warning } = await openRunStore(options.store);
  if (warning !== undefined) {
    throw new UsageError(`Cannot start a worker without a store: ${warning}`, "store");
  }
  const models = options.models ??
    (await listModels()).map(({ name }): ModelEntry => ({ name, reference: name }));
  const embedded = options.models ? [] : EMBEDDED_LORAS;
  const loras = options.loras ?? embedded.map((name): ModelEntry => ({ name, reference: name }));

  // 2. Start the worker.
  const signal = interruptSignal();
  const executor = new ProcessExecutor({
    plugins,
    models: { localFilesOnly: true, listed: asJson(models), loras: asJson(loras) },
    runtime: asJson({ device, threads }) as JsonObject,
    fingerprints: store.folder,
    graceMs: GRACE_MS,
    // One process more than concurrent jobs, because nodes are prepared meanwhile.
    warmHosts: concurrency + 1,
  });
  const { StageWorker } = await import("../queue/stage_worker.ts");
  const log = (event: string, facts: Readonly<Record<string, unknown>>): void => {
    if (!quiet) writeLine(stderr, JSON.stringify({ time: new Date().toISOString(), event, ...facts }));
  };
  try {
    await using open = await StageWorker.open({
      queue,
      registry,
      stages,
      models: models.map(({ name }) => name),
      adapters: loras.map(({ name }) => name),
      store,
      executor,
      residency,
      concurrency,
      leaseMs: lease * 1000,
      log,
    });
    const names = models.map(({ name }) => name).join(", ") || "no models";
    writeLine(stderr, `pixstage runs ${stages.join(", ")} from ${queue} with ${names}`);

    // 3. Work until a signal arrives, or no job waits.
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await (drain ? Promise.race([open.drained(signal), stopped]) : stopped);
  } finally {
    await executor.close();
  }
}

function requireStage(name: string, registry: StageRegistry): void {
  if (registry.has(name)) return;
  const known = registry.list().map((stage) => stage.name).join(", ");
  throw new UsageError(`Cannot run the stage "${name}": available are ${known}`, "stages");
}

function names(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(",")];
}

function modelEntries(text: string, before: readonly ModelEntry[] = []): ModelEntry[] {
  return text.split(",").reduce<readonly ModelEntry[]>((all, part) => modelEntry(part, all), before).slice();
}
