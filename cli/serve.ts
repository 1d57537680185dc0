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
import { FileError } from "../artifacts/file_error.ts";
import { checkOutputFolder } from "../artifacts/output_file.ts";
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
import { diskSize, memorySize } from "../runtime/byte_size.ts";
import { keepAliveMs } from "../runtime/duration.ts";
import { memoryOptions } from "./gen_options.ts";
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
    .description("Serves pictures over HTTP: OpenAI's images endpoint, jobs, stages, and a studio page.")
    .option("--host <name>", "the address to listen at", "127.0.0.1")
    .option("--port <n>", "the port to listen at; 0 finds a free one", wholeNumber(0), 8000)
    .option(
      "-m, --model <name=dir>",
      "a model to serve, under a name; repeatable (default: all on this machine)",
      modelEntry,
    )
    .option("--lora <name=dir>", "a LoRA to serve, a file or a folder, under a name; repeatable", modelEntry)
    .option("--lora-folder <dir>", "serve all LoRAs of a folder that fit the models")
    .option(
      "--store <dir|url>",
      "where artifacts and jobs are kept; s3://BUCKET/PREFIX keeps artifacts alone",
    )
    .option("--jobs <dir>", "where jobs and copies of artifacts are kept with a store in S3")
    .option(
      "--link-lifetime <seconds>",
      "how long links to pictures are good for, where there is an API key or the store is in S3",
      wholeNumber(1, LONGEST_LINK),
      LINK_SECONDS,
    )
    .option(
      "--store-size <size>",
      "the most that the store may take, such as 10GB; what was not used longest is removed",
      byteSize(diskSize),
    )
    .option("--store-max-age <days>", "remove from the store what was not used for so long", amount)
    .option(
      "--queue <address>",
      "have the workers of a queue run the stages: redis://HOST, postgres://HOST",
      queueText,
    )
    .option(
      "--lanes <n>",
      "graphs that run at once (default: one a device, or 32 with --queue)",
      wholeNumber(1),
    )
    .option("--max-queue <n>", "jobs that may wait", wholeNumber(1))
    .option(
      "--device <name,...>",
      "where to run: cpu, webgpu, cuda, or several GPUs, such as cuda:0,cuda:1; `devices` lists what is here",
      devices,
      ["cpu"],
    )
    .option("--threads <n>", "threads of one operation; all cores otherwise", wholeNumber(1, MOST_THREADS))
    .addOption(
      new Option("--residency <name>", "how long weights are held; by their size unless given").choices([
        "stream",
        "stage",
        "resident",
      ]),
    )
    .option(
      "--keep-alive <duration>",
      "how long unused models stay loaded: 5m, 1h, a number of seconds, 0, or -1 for ever (default: -1)",
      parsedBy(keepAliveMs),
    )
    .option(
      "--max-memory <size>",
      "memory that a run stays within, such as 1.5GB; 0 for no limit",
      byteSize(memorySize),
    )
    .option(
      "--max-gpu-memory <size>",
      "GPU memory that a run stays within, such as 3GB",
      byteSize(memorySize),
    )
    .option(
      "--plugin <module>",
      "load stages, architectures and schedulers of a module; repeatable",
      collected,
    )
    .option("--cors-origin <origin>", "an origin whose pages may call the server; repeatable", collected)
    .option(
      "--allowed-host <name>",
      "a name that the server answers to, or *.NAME, beside IP addresses and this machine's; repeatable",
      collected,
    )
    .option(
      "--webhook-allow <host>",
      "a host that jobs may have webhooks sent to, with or without a port; repeatable; wants PIXSTAGE_WEBHOOK_SECRET",
      collected,
    )
    .addOption(
      new Option(
        "--trust-proxy [address]",
        "believe the X-Forwarded- headers of a reverse proxy: its address or network, or how many there are; " +
          "repeatable",
      ).preset("1").argParser(collected),
    )
    .option(
      "--base-path <path>",
      "the path under which a reverse proxy serves this server, such as /pixstage",
    )
    .option("--insecure", "listen beyond this machine without an API key")
    .option("-q, --quiet", "write no log")
    .addHelpText(
      "after",
      "\nThe API key is read from PIXSTAGE_API_KEY, the password of a queue from PIXSTAGE_QUEUE_PASSWORD, and the " +
        "secret of webhooks from PIXSTAGE_WEBHOOK_SECRET.",
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
      `Cannot listen at ${host} as anybody could ask for pictures: set PIXSTAGE_API_KEY, or say --insecure`,
    );
  }

  if (queue !== undefined && keepAlive !== undefined) {
    throw new UsageError("Cannot use --keep-alive with --queue as its workers hold the models: leave it out");
  }
  for (const one of device) await requireDevice(one);
  const isInS3 = store !== undefined && isS3Address(store);
  if (jobs !== undefined && !isInS3) {
    throw new UsageError("Cannot use --jobs as the store must be in S3: a folder keeps the jobs too", "jobs");
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
    lanes,
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
    `pixstage listens at http://${name}:${listener.port} with ${server.models.join(", ") || "no model"}`,
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
    const advice = "The server keeps jobs and artifacts there: name another folder with --store";
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
