/**
 * Describes the models and LoRAs of this machine for a gateway.
 *
 * @module
 */

import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { LENGTH_BYTES, readSafetensorsHeader } from "../../artifacts/safetensors_header.ts";
import { PixstageError } from "../../errors/pixstage_error.ts";
import { EMBEDDED_LORAS, embeddedLoraFolder } from "../../hub/embedded_model.ts";
import type { ModelEntry } from "../../hub/listed_models.ts";
import { LocalModels } from "../../hub/local_models.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { COMPONENT_NAMES } from "../../models/checkpoint/model_index.ts";
import { type CheckpointSource, joinPath } from "../../models/checkpoint/source.ts";
import { noLog } from "../../server/log.ts";
import { servedLoras } from "../../server/served_loras.ts";
import { describeModels } from "../../server/served_models.ts";
import type { Catalogue, DescribedFile } from "./catalogue.ts";

/** Files that planning reads whole. */
const WHOLE = /(?:\.json|\.model|\.txt)$/;
/** Maximum size, in bytes, of tensors that planning reads: the alphas of LoRAs are single numbers. */
const NUMBER_BYTES = 8;

/**
 * Describes models and LoRAs. All of them must be on this machine.
 *
 * @param entries The models. The first one is the default.
 * @param loras The LoRAs that requests can name.
 */
export async function catalogueOf(
  entries: readonly ModelEntry[],
  loras: readonly ModelEntry[] = [],
): Promise<Catalogue> {
  const served = await describeModels(entries, ({ name }, cause) => {
    throw new PixstageError("invalid_checkpoint", `Cannot describe the model ${name}`, { cause });
  });
  const { models, decoders, transformers, controlnets } = served;
  const adapters = await servedLoras({ named: loras, embedded: false }, [...models, ...transformers], noLog);
  const names = (all: readonly ModelEntry[]) => all.map(({ name }) => name);
  const local = new LocalModels({ localFilesOnly: true });
  const files: Catalogue["files"] = {};
  for (const { name, reference } of entries) {
    files[name] = await describeSource(await checkpointSource(reference, local));
  }
  for (const { name, reference } of adapters) files[name] = await describeAdapter(reference);
  return {
    models: models.map((model) => ({ ...model, defaults: { ...model.defaults } })),
    decoders: names(decoders),
    transformers: names(transformers),
    controlnets: names(controlnets),
    loras: adapters.map((adapter) => ({ ...adapter, models: [...adapter.models] })),
    files,
  };
}

/** Finds a checkpoint, or a folder with a single component. */
async function checkpointSource(model: string, local: LocalModels): Promise<CheckpointSource> {
  const found = await Promise.any(COMPONENT_NAMES.map((name) => local.component({ model }, name)));
  return found.source;
}

async function describeAdapter(reference: string): Promise<Record<string, DescribedFile>> {
  const path = EMBEDDED_LORAS.includes(reference) ? embeddedLoraFolder(reference) : resolve(reference);
  if ((await stat(path)).isDirectory()) return await describeSource(await openDiskSource(path));
  const name = basename(path);
  return { [name]: await weightFile(await openDiskSource(dirname(path)), name) };
}

async function describeSource(source: CheckpointSource): Promise<Record<string, DescribedFile>> {
  const described: Record<string, DescribedFile> = {};
  const folders = ["", "scheduler", "tokenizer", ...COMPONENT_NAMES];
  for (const folder of folders) {
    for (const name of await source.list(folder)) {
      const path = joinPath(folder, name);
      if (WHOLE.test(name)) described[path] = await wholeFile(source, path);
      else if (name.endsWith(".safetensors")) described[path] = await weightFile(source, path);
    }
  }
  return described;
}

async function wholeFile(source: CheckpointSource, path: string): Promise<DescribedFile> {
  const bytes = await source.readBytes(path);
  return { size: bytes.length, parts: [{ start: 0, bytes: bytes.toBase64() }] };
}

async function weightFile(source: CheckpointSource, path: string): Promise<DescribedFile> {
  const size = await source.size(path);
  const read = (start: number, end: number) => source.readBytes(path, start, end);
  const { tensors } = await readSafetensorsHeader({ name: path, size, read });
  const length = new DataView((await read(0, LENGTH_BYTES)).buffer).getBigUint64(0, true);
  const header = await read(0, LENGTH_BYTES + Number(length));
  const numbers = [...tensors.values()].filter(({ length }) => length <= NUMBER_BYTES);
  const parts = numbers.map(async ({ offset, length }) => ({
    start: offset,
    bytes: (await read(offset, offset + length)).toBase64(),
  }));
  return { size, parts: [{ start: 0, bytes: header.toBase64() }, ...await Promise.all(parts)] };
}
