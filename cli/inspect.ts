/**
 * `inspect`: describes an artifact, a checkpoint, a LoRA adapter or a picture.
 *
 * @module
 */

import { Command } from "commander";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { stdout } from "node:process";
import type { JsonObject } from "../artifacts/artifact.ts";
import { artifactId } from "../artifacts/artifact_file.ts";
import { onDisk } from "../disk/file_error.ts";
import type { Tensor } from "../artifacts/tensor.ts";
import { parseProvenance } from "../graph/provenance.ts";
import { readArtifactFile } from "../graph/provenance_file.ts";
import type { ReadFile } from "../graph/run_options.ts";
import { decodePicture } from "../images/picture.ts";
import { inPictureFile } from "../images/picture_file_error.ts";
import { LocalModels } from "../hub/local_models.ts";
import { describeProvenance } from "./describe_provenance.ts";
import { findProvenance } from "./find_provenance.ts";
import { inspectAdapter } from "./inspect_adapter.ts";
import { writeLine } from "./standard_streams.ts";
import { openFolderStore } from "./run_store.ts";
import { userPath } from "./user_path.ts";

/** Creates the `inspect` command. */
export function inspectCommand(): Command {
  return new Command("inspect")
    .description("Describes an artifact, a checkpoint, a LoRA or a picture.")
    .argument(
      "<file|id>",
      "safetensors file, picture, folder of a checkpoint or a LoRA, or the beginning of an id in the store",
    )
    .option("--store <dir>", "folder of the store (default: in the user's cache)")
    .option("--json", "print JSON")
    .action(async (file: string, { json, store }: { json?: boolean; store?: string }) => {
      const found = await inspect(file, store);
      writeLine(stdout, json ? JSON.stringify(found) : outline(found));
    });
}

/** Describes a file, a folder, or an artifact in the store. */
async function inspect(name: string, store: string | undefined): Promise<JsonObject> {
  const path = userPath(name);
  const isId = /^[0-9a-f]{4,64}$/i.test(name) && !await stat(path).catch(() => undefined);
  if (isId) {
    const made = await findProvenance(name, openFolderStore(store));
    return "artifact" in made ? await describeArtifact(made) : {};
  }
  const found = await onDisk("read", path, stat(path));
  const isAdapter = found.isDirectory()
    ? !await isFile(join(path, "model_index.json"))
    : path.endsWith(".safetensors");
  const adapter = isAdapter ? await inspectAdapter(path) : undefined;
  if (adapter) return adapter;
  if (found.isDirectory()) return await inspectCheckpoint(path);
  return path.endsWith(".safetensors")
    ? await describeArtifact(await readArtifactFile(path))
    : await inspectPicture(path);
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then((found) => found.isFile(), () => false);
}

/** Describes a checkpoint: its family, and the size of each component. */
async function inspectCheckpoint(path: string): Promise<JsonObject> {
  const checkpoint = await new LocalModels().open({ model: path });
  const components: Record<string, JsonObject | string> = {};
  for (const name of checkpoint.missing) {
    components[name] =
      `missing: model_index.json declares it, but the folder ${name} contains no config.json`;
  }
  for (const name of checkpoint.components) {
    const component = await checkpoint.component(name);
    const weights = await component.weights();
    const located = weights.names.map((tensor) => weights.locate(tensor));
    components[name] = {
      class: component.className,
      tensors: located.length,
      parameters: located.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
      bytes: located.reduce((sum, { length }) => sum + length, 0),
      types: [...new Set(located.map(({ dtype }) => dtype))].join(", "),
    };
  }
  return {
    what: "checkpoint",
    name: checkpoint.name,
    family: checkpoint.family,
    defaults: checkpoint.defaults as JsonObject,
    scheduler: (await checkpoint.scheduler().catch(() => undefined))?.className ?? "none",
    components,
  };
}

/** Describes an artifact: its kind, tensors, metadata and provenance. */
async function describeArtifact({ artifact, provenance }: ReadFile): Promise<JsonObject> {
  return {
    what: "artifact",
    kind: artifact.kind,
    id: await artifactId(artifact),
    tensors: Object.fromEntries(
      Object.entries(artifact.tensors).map(([name, tensor]) => [name, describeTensor(tensor)]),
    ),
    metadata: artifact.metadata,
    ...(provenance ? { made: describeProvenance(provenance) } : {}),
  };
}

/** Describes a tensor in one line: type, shape, range and mean. */
function describeTensor(tensor: Tensor): string {
  let [least, most, sum] = [Infinity, -Infinity, 0];
  if (tensor.dtype !== "float32") return `${tensor.dtype} [${tensor.shape}]`;
  for (const value of tensor.data) {
    least = Math.min(least, value);
    most = Math.max(most, value);
    sum += value;
  }
  const mean = sum / tensor.data.length;
  return `${tensor.dtype} [${tensor.shape}], ${least.toPrecision(4)} to ${most.toPrecision(4)}, mean ${
    mean.toPrecision(4)
  }`;
}

/** Describes a picture: its size, its format, and the parameters in its metadata. */
async function inspectPicture(path: string): Promise<JsonObject> {
  const bytes = new Uint8Array(await onDisk("read", path, readFile(path)));
  const { pixels, metadata, format } = await inPictureFile(path, decodePicture(bytes));
  const { pixstage, ...rest } = metadata;
  return {
    what: "picture",
    format,
    size: `${pixels.width} x ${pixels.height}`,
    ...rest,
    ...(pixstage === undefined ? {} : { made: describeProvenance(parseProvenance(pixstage, path)) }),
  };
}

/** Formats nested values as an indented list. */
function outline(value: JsonObject, indent = ""): string {
  return Object.entries(value).map(([name, part]) => {
    if (part !== null && typeof part === "object" && !Array.isArray(part)) {
      return `${indent}${oneLine(name)}:\n${outline(part as JsonObject, `${indent}  `)}`;
    }
    const text = typeof part === "string" ? part : JSON.stringify(part);
    return `${indent}${oneLine(name)}: ${text.replaceAll("\n", `\n${indent}  `)}`;
  }).join("\n");
}

/** Removes line breaks from a name, so that it cannot look like several entries. */
function oneLine(name: string): string {
  return name.replaceAll("\n", "\\n");
}
