/**
 * `serve`: starts the server.
 *
 * @module
 */

import { Command, Option } from "commander";
import { writeSync } from "node:fs";
import { isIP } from "node:net";
import { hostname } from "node:os";
import process, { stderr } from "node:process";
import { FileError } from "../disk/file_error.ts";
import { checkOutputFolder } from "../disk/output_file.ts";
import { defaultStoreFolder } from "../artifacts/store/default_folder.ts";
import { isS3Address } from "../artifacts/store/s3_address.ts";
import { ANY_HOST, isLoopback } from "../server/access.ts";
import { createServer } from "../server/create_server.ts";
import type { WebhookSettings } from "../server/webhooks/webhooks.ts";
import type { ModelEntry } from "../hub/listed_models.ts";
import { parseQueueAddress } from "../queue/address.ts";
import { listen } from "../server/listen.ts";
import { LINK_SECONDS } from "../server/picture_links.ts";
import { jsonLog } from "../server/log.ts";
import { loadMcp } from "../server/routes/mcp.ts";
import { requireDevice } from "../devices/local_devices.ts";
import type { Device } from "../runtime/device.ts";
import { diskSize, memorySize } from "../pixstage/byte_size.ts";
import { keepAliveMs } from "../pixstage/duration.ts";
import { memoryOptions } from "./gen_request.ts";
import { modelEntry } from "./model_entry.ts";
import { openS3Store } from "./run_store.ts";
import { MOST_THREADS } from "../runtime/threads.ts";
import { amount, byteSize, devices, parsedBy, wholeNumber } from "./option_values.ts";
import { printable, writeLine } from "./standard_streams.ts";
import { pluginAddress } from "./store_options.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

const DAY_MS = 24 * 3600 * 1000;
/** Milliseconds after the start at which the library of the Model Context Protocol loads. */
const MCP_DELAY_MS = 1000;

/** Maximum lifetime of links in seconds: S3 signs links for at most a week. */
const LONGEST_LINK = 7 * 24 * 3600;

/** The parsed options of `serve`. */
interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly model?: readonly ModelEntry[];
  readonly lora?: readonly ModelEntry[];
  readonly loraFolder?: string;
  readonly store?: string;
  readonly jobs?: string;
  readonly linkLifetime: number;
  readonly storeSize?: number;
  readonly storeMaxAge?: number;
  readonly queue?: string;
  readonly concurrency?: number;
  readonly lanes?: number;
  readonly maxQueue?: number;
  readonly device: readonly Device[];
  readonly threads?: number;
  readonly residency?: "stream" | "stage" | "resident";
  readonly keepAlive?: number;
  readonly maxMemory?: number;
  readonly maxGpuMemory?: number;
  readonly plugin?: readonly string[];
  readonly corsOrigin?: readonly string[];
  readonly allowedHost?: readonly string[];
  readonly webhookAllow?: readonly string[];
  readonly trustProxy?: readonly string[];
  readonly basePath?: string;
  readonly insecure?: boolean;
  readonly quiet?: boolean;
}

/** Creates the `serve` command. */
export function serveCommand(): Command {
  return new Command("serve")
    .description("Starts an HTTP server with OpenAI's images endpoint, jobs, stages and the studio page.")
    .option("--host <name>", "address to listen on", "127.0.0.1")
    .option("--port <n>", "port to listen on; 0 for a free one", wholeNumber(0), 8000)
    .option(
      "-m, --model <name=dir>",
      "model to serve under a name; repeatable (default: all on this machine)",
      modelEntry,
    )
    .option("--lora <name=dir>", "LoRA to serve under a name, a file or a folder; repeatable", modelEntry)
    .option("--lora-folder <dir>", "serve all LoRAs of a folder that fit the models")
    .option(
      "--store <dir|url>",
      "folder for artifacts and jobs, or s3://BUCKET/PREFIX for artifacts only",
    )
    .option("--jobs <dir>", "folder for jobs and copies of artifacts if the store is in S3")
    .option(
      "--link-lifetime <seconds>",
      "how long links to pictures stay valid if there is an API key or the store is in S3",
      wholeNumber(1, LONGEST_LINK),
      LINK_SECONDS,
    )
    .option(
      "--store-size <size>",
      "maximum size of the store, such as 10GB; the least recently used artifacts are removed",
      byteSize(diskSize),
    )
    .option("--store-max-age <days>", "remove artifacts that were not used for this long", amount)
    .option(
      "--queue <address>",
      "run stages on the workers of a queue: redis://HOST or postgres://HOST",
      queueText,
    )
    .option(
      "--concurrency <n>",
      "number of graphs that run at once (default: one per device, or 32 with --queue)",
      wholeNumber(1),
    )
    .addOption(new Option("--lanes <n>", "former name of --concurrency").argParser(wholeNumber(1)).hideHelp())
    .option("--max-queue <n>", "maximum number of waiting jobs", wholeNumber(1))
    .option(
      "--device <name,...>",
      "devices to run on: cpu, webgpu, cuda, or several GPUs, such as cuda:0,cuda:1; `devices` lists the available ones",
      devices,
      ["cpu"],
    )
    .option("--threads <n>", "threads per operation (default: all cores)", wholeNumber(1, MOST_THREADS))
    .addOption(
      new Option("--residency <name>", "how long weights stay in memory (default: depends on their size)")
        .choices([
          "stream",
          "stage",
          "resident",
        ]),
    )
    .option(
      "--keep-alive <duration>",
      "how long unused models stay loaded: 5m, 1h, a number of seconds, 0, or -1 for no limit (default: -1)",
      parsedBy(keepAliveMs),
    )
    .option(
      "--max-memory <size>",
      "memory limit of a run, such as 1.5GB; 0 for no limit",
      byteSize(memorySize),
    )
    .option(
      "--max-gpu-memory <size>",
      "GPU memory limit of a run, such as 3GB",
      byteSize(memorySize),
    )
    .option(
      "--plugin <module>",
      "load the stages, architectures and schedulers of a module; repeatable",
      collected,
    )
    .option("--cors-origin <origin>", "origin whose pages may call the server; repeatable", collected)
    .option(
      "--allowed-host <name>",
      "host name that requests may use, or *.NAME, in addition to IP addresses and this machine's names; repeatable",
      collected,
    )
    .option(
      "--webhook-allow <host>",
      "host that webhooks may be sent to, with or without a port; repeatable; requires PIXSTAGE_WEBHOOK_SECRET",
      collected,
    )
    .addOption(
      new Option(
        "--trust-proxy [address]",
        "trust the X-Forwarded- headers of reverse proxies: an address, a network, or the number of proxies; " +
          "repeatable",
      ).preset("1").argParser(collected),
    )
    .option(
      "--base-path <path>",
      "path under which a reverse proxy serves this server, such as /pixstage",
    )
    .option("--insecure", "accept requests from other machines without an API key")
    .option("-q, --quiet", "write no log")
    .addHelpText(
      "after",
      "\nThe API key comes from PIXSTAGE_API_KEY, the password of the queue from PIXSTAGE_QUEUE_PASSWORD, and the " +
        "webhook secret from PIXSTAGE_WEBHOOK_SECRET.",
    )
    .action(serve);
}

/** Runs the server until a signal stops it. */
async function serve(options: ServeOptions): Promise<void> {
  // 1. Refuse an unprotected server on a public address, and a missing device.
  const {
    host,
    port,
    model,
    lora,
    loraFolder,
    store,
    jobs,
    linkLifetime,
    storeSize,
    storeMaxAge,
    queue,
    lanes,
    concurrency = lanes,
    maxQueue,
    device,
    threads,
    residency,
    keepAlive,
    plugin,
    corsOrigin,
    allowedHost,
    webhookAllow,
    trustProxy,
    basePath,
    insecure,
    quiet,
  } = options;
  const apiKey = process.env["PIXSTAGE_API_KEY"] || undefined;
  if (!isLoopback(host) && apiKey === undefined && !insecure) {
    throw new UsageError(
      `Cannot listen on ${host} because anybody could use the server: set PIXSTAGE_API_KEY, or add --insecure`,
    );
  }

  if (queue !== undefined && keepAlive !== undefined) {
    throw new UsageError(
      "Cannot use --keep-alive with --queue because the workers load the models: leave it out",
    );
  }
  for (const one of device) await requireDevice(one);
  const isInS3 = store !== undefined && isS3Address(store);
  if (jobs !== undefined && !isInS3) {
    throw new UsageError(
      "Cannot use --jobs because the store is a folder, which holds the jobs too: leave it out",
      "jobs",
    );
  }
  const bucket = isInS3 ? openS3Store(store) : undefined;
  const place = isInS3 ? jobs : store;
  const folder = place === undefined ? defaultStoreFolder() : userPath(place);
  await checkStoreFolder(folder);
  const { maxMemory, maxGpuMemory } = memoryOptions(options);

  // 2. Create the server.
  const log = quiet ? undefined : jsonLog(writeLog);
  const server = await createServer({
    models: model,
    loras: lora,
    loraFolder: loraFolder === undefined ? undefined : userPath(loraFolder),
    store: folder,
    bucket,
    linkSeconds: linkLifetime,
    storeBytes: storeSize,
    storeMaxAgeMs: storeMaxAge === undefined ? undefined : storeMaxAge * DAY_MS,
    queue,
    concurrency,
    device,
    threads,
    residency,
    keepAliveMs: keepAlive,
    maxMemory,
    maxGpuMemory,
    plugins: plugin?.map((module) => pluginAddress(module, userPath("."))),
    limits: maxQueue === undefined ? undefined : { maxQueue },
    apiKey,
    allowedHosts: allowedHost ?? ownNames(host, apiKey),
    trustProxy,
    basePath,
    corsOrigins: corsOrigin,
    webhooks: webhookSettings(webhookAllow),
    log,
  });

  // 3. Listen until a signal arrives.
  const stop = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.resolve());
  const listener = await listen(server, { hostname: host, port }).catch(async (error) => {
    await server.close();
    throw error;
  });
  const name = host.includes(":") ? `[${host}]` : host;
  writeLine(
    stderr,
    `pixstage listens at http://${name}:${listener.port} with ${server.models.join(", ") || "no models"}`,
  );
  const loading = setTimeout(() => void loadMcp(), MCP_DELAY_MS);
  await stop.promise;
  clearTimeout(loading);
  await Promise.all([server.close(), listener.close()]);
}

/**
 * Returns the host names that the server answers to by default. A server that other machines can reach
 * answers to the machine's name, and to any name if an API key protects it.
 */
function ownNames(host: string, apiKey: string | undefined): readonly string[] {
  if (isLoopback(host)) return [];
  if (apiKey !== undefined) return [ANY_HOST];
  return [hostname(), `${hostname()}.local`, ...(isIP(host) ? [] : [host])];
}

/** Returns the allowed hosts for webhooks, and the secret from the environment. */
function webhookSettings(allow: readonly string[] | undefined): WebhookSettings | undefined {
  if (allow === undefined) return undefined;
  const secret = process.env["PIXSTAGE_WEBHOOK_SECRET"];
  if (secret) return { allow, secret };
  throw new UsageError(
    "Cannot send webhooks unsigned: set PIXSTAGE_WEBHOOK_SECRET to whsec_ and the base64 of 24 to 64 random bytes",
  );
}

/**
 * Throws if jobs and artifacts cannot be stored in a folder. A full disk is no error: the server waits for
 * space.
 */
async function checkStoreFolder(folder: string): Promise<void> {
  try {
    await checkOutputFolder(folder);
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    if (cause.isFull) return;
    const advice = "The server needs this folder for jobs and artifacts: give another one with --store";
    throw new FileError("write", folder, cause.systemCode, { cause, advice });
  }
}

/** Writes to the log. A full disk or a closed pipe must not end the server or a request. */
function writeLog(line: string): void {
  const bytes = new TextEncoder().encode(printable(line));
  try {
    for (let written = 0; written < bytes.length;) written += writeSync(stderr.fd, bytes, written);
  } catch {
    // Later lines may be written again.
  }
}

/** Checks the address of a queue and returns it as the user gave it. */
const queueText = parsedBy((text) => (parseQueueAddress(text), text));

function collected(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
