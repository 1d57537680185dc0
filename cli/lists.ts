/**
 * `schedulers`, `stages` and `models`: list the available choices.
 *
 * @module
 */

import { Command } from "commander";
import { stdout } from "node:process";
import prettyBytes from "pretty-bytes";
import { z } from "zod";
import type { JsonValue } from "../artifacts/artifact.ts";
import { type ListedModel, listModels } from "../hub/list_models.ts";
import { listSchedulers } from "../schedulers/mod.ts";
import { builtInStages } from "../stages/mod.ts";
import type { Ports } from "../stages/stage.ts";
import { writeLine } from "./standard_streams.ts";

/** Creates the `schedulers` command. */
export function schedulersCommand(): Command {
  return listCommand(
    "schedulers",
    "Lists the schedulers, their short names and their options.",
    () =>
      listSchedulers().map((scheduler) => ({
        text: `${scheduler.name} (${
          scheduler.shortNames.join(", ")
        })\n  ${scheduler.description}\n  options: ${
          Object.entries(scheduler.options).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(
            " ",
          )
        }`,
        json: scheduler as unknown as JsonValue,
      })),
  );
}

/** Creates the `stages` command. */
export function stagesCommand(): Command {
  return listCommand(
    "stages",
    "Lists the stages, their ports and their parameters.",
    () =>
      builtInStages().list().map(({ name, version, description, inputs, outputs, parameters }) => {
        const schema = z.toJSONSchema(parameters, { io: "input", unrepresentable: "any" });
        const names = Object.keys(schema.properties ?? {}).join(", ") || "none";
        return {
          text: `${name} ${version}: ${ports(inputs)} → ${
            ports(outputs)
          }\n  ${description}\n  parameters: ${names}`,
          json: { name, version, description, inputs, outputs, parameters: schema } as unknown as JsonValue,
        };
      }),
  );
}

/** Creates the `models` command. */
export function modelsCommand(): Command {
  const command = listCommand(
    "models",
    "Lists the embedded and downloaded models, and says which of them cannot be used and why.",
    async (options) =>
      (await listModels(options)).map((model) => ({
        text: `${model.name}  ${prettyBytes(model.bytes)}  ${model.folder}${describeParts(model)}`,
        json: { ...model },
      })),
  );
  return command.option("--cache-dir <dir>", "folder for downloads");
}

/** Lists the weights on disk, unless the model is complete, and the faults that would make a run fail. */
function describeParts({ components, variants, missing, faults }: ListedModel): string {
  const isWhole = missing.length === 0 && components.every((name) => variants[name]?.includes(""));
  const here = components.map((name) => {
    const named = (variants[name] ?? []).filter((variant) => variant !== "");
    return variants[name]?.includes("") ? name : `${name} (only ${named.join(", ")})`;
  });
  const fetched = missing.length === 0 ? "" : `; downloaded when needed: ${missing.join(", ")}`;
  const parts = isWhole ? "" : `\n  weights: ${here.join(", ") || "none"}${fetched}`;
  return parts + faults.map((fault) => `\n  cannot be used: ${fault}`).join("");
}

/** An entry of a list. */
interface Entry {
  readonly text: string;
  readonly json: JsonValue;
}

/** Creates a command that prints a list. */
function listCommand(
  name: string,
  description: string,
  entries: (options: { cacheDir?: string }) => Promise<Entry[]> | Entry[],
): Command {
  return new Command(name)
    .description(description)
    .option("--json", "print JSON")
    .action(async (options: { json?: boolean; cacheDir?: string }) => {
      const list = await entries(options);
      if (options.json) return writeLine(stdout, JSON.stringify(list.map(({ json }) => json)));
      for (const { text } of list) writeLine(stdout, text);
    });
}

/** Formats ports in one line. */
function ports(all: Ports): string {
  return Object.entries(all).map(([name, { kind, optional }]) => `${name}${optional ? "?" : ""}: ${kind}`)
    .join(", ") ||
    "nothing";
}
