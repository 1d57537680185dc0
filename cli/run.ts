/**
 * `run`: runs a graph document.
 *
 * @module
 */

import { Command, InvalidArgumentError } from "commander";
import { dirname, resolve } from "node:path";
import { stdout } from "node:process";
import { nearest } from "../errors/nearest.ts";
import { parseValue } from "../errors/parse_value.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { type GraphDocument, graphDocumentSchema, type GraphNode } from "../graph/document.ts";
import { type GraphPlan, planGraph, splitSource } from "../graph/plan.ts";
import { checkPluginsAllowed } from "../graph/plugins.ts";
import type { MadeArtifact, RunResult } from "../graph/run_options.ts";
import { addRunOptions, type GenOptions } from "./gen_options.ts";
import { memoryOptions, runOptions } from "./gen_request.ts";
import { pathOrName } from "./path_or_name.ts";
import { ignoredOptions } from "./ignored_options.ts";
import { interruptSignal } from "./interrupt.ts";
import { writeLine } from "./standard_streams.ts";
import { checkOutputs, checkTensorNames } from "./output.ts";
import { openInputStore } from "./run_store.ts";
import { checkPictureFiles, pictureFormat } from "./save_pictures.ts";
import { addSetOption, type SetParameters, setParameters } from "./set_parameters.ts";
import { saveArtifact, saveMadePictures, showRun } from "./show_run.ts";
import { addStoreOptions, openRun, pluginAddress, type StoreOptions } from "./store_options.ts";
import { readTextFile } from "./text_file.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

type RunCommandOptions =
  & Pick<
    GenOptions,
    "device" | "threads" | "json" | "quiet" | "verbose" | "maxMemory" | "maxGpuMemory" | "lowestPrecision"
  >
  & StoreOptions
  & {
    readonly model?: string;
    readonly set?: SetParameters;
    readonly until?: string;
    readonly printGraph?: boolean;
    readonly save?: readonly SavedOutput[];
  };

/** An output of the graph, and the file to write it to. */
interface SavedOutput {
  /** The output: `node.port`. */
  readonly output: string;
  readonly file: string;
}

/** Creates the `run` command. */
export function runCommand(): Command {
  const command = new Command("run")
    .description("Runs a graph of stages.")
    .argument("<graph>", "graph document in JSON; paths in it are relative to its folder")
    .option("-m, --model <dir|org/name>", "checkpoint to use in all nodes that name one")
    .option("--until <node>", "stop after a node")
    .option("--print-graph", "check the graph, print it with all settings, and stop")
    .option(
      "--save <node.port=file>",
      "write an output to a picture, or to a file that ends in .safetensors; repeatable",
      saved,
    );
  return addStoreOptions(addRunOptions(addSetOption(command)))
    .addHelpText("after", "\nWithout --save, the pictures of the last nodes are written to NODE.png.")
    .action(runDocument);
}

async function runDocument(file: string, options: RunCommandOptions, command: Command): Promise<void> {
  const { until, save = [] } = options;
  const isNamed = save.length > 0;
  if (!options.printGraph) {
    await checkOutputs(save.map(({ file }) => file), { json: options.json, namesFiles: !isNamed });
  }
  const path = userPath(file);
  const read = await readDocument(path);
  const document = setParameters(withModel(read, options.model), options.set);
  const ids = Object.keys(document.nodes);
  if (until !== undefined && !ids.includes(until)) {
    throw new UsageError(
      `Cannot stop after "${until}": there is no such node. Did you mean "${nearest(until, ids)}"?`,
      "until",
    );
  }
  const allowed = (options.plugin ?? []).map((module) => pluginAddress(module, userPath(".")));
  checkPluginsAllowed(document.plugins ?? [], allowed);
  const run = await openRun(options, runOptions(options));
  if (options.printGraph) {
    const plan = planGraph(document, run.registry, { until });
    return writeLine(stdout, JSON.stringify(plan.document, null, 2));
  }
  const { nodes } = planGraph(document, run.registry, { until });
  await checkSaved(save, nodes);
  const store = run.store ?? openInputStore();
  await showRun(document, { ...run, ...memoryOptions(options), store }, options, {
    signal: interruptSignal(),
    until,
    outputs: save.map(({ output }) => output),
    command,
    warnings: ignoredOptions(command),
    onPrepared: async (outlines) => {
      for (const { output, file } of isNamed ? save : defaultFiles(outlines)) {
        const outline = outlines.get(output);
        if (outline?.kind !== "image" || file.endsWith(".safetensors")) continue;
        await checkPictureFiles(outline, file);
      }
    },
    save: (made) =>
      saveNamed(
        made,
        isNamed ? save : defaultFiles(new Map([...made].map(([output, { artifact }]) => [output, artifact]))),
      ),
  });
}

/** Reads a document, and makes its paths absolute. */
async function readDocument(path: string): Promise<GraphDocument> {
  const text = await readTextFile(path);
  let value: unknown;
  try {
    value = JSON.parse(text, requireField);
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    const reason = cause instanceof RangeError ? "it is nested too deeply" : (cause as Error).message;
    throw new InputError(
      "invalid_json",
      `Cannot read ${path} as a graph because it is not JSON: ${reason}`,
      {
        cause,
      },
    );
  }
  const { plugins, nodes, ...rest } = parseValue(
    graphDocumentSchema,
    value,
    ({ clause }, options) =>
      new InputError("invalid_document", `Cannot read ${path} as a graph: ${clause}`, options),
  );
  const folder = dirname(path);
  const absolute = Object.entries(nodes).map(([id, node]) => [id, withAbsolutePaths(node, folder)]);
  return {
    ...rest,
    ...(plugins ? { plugins: plugins.map((module) => pluginAddress(module, folder)) } : {}),
    nodes: Object.fromEntries(absolute),
  };
}

/** Refuses the name `__proto__`, which schemas drop silently because objects cannot have such a field. */
function requireField(name: string, value: unknown): unknown {
  if (name !== "__proto__") return value;
  throw new InputError("invalid_document", "Cannot read a graph with a field or a node named __proto__");
}

function withAbsolutePaths(node: GraphNode, folder: string): GraphNode {
  const inputs = Object.entries(node.inputs).map(([port, input]) =>
    [
      port,
      typeof input !== "string" && "file" in input ? { file: resolve(folder, input.file) } : input,
    ] as const
  );
  const { model } = node.parameters;
  const isPath = typeof model === "string" && /^\.\.?\//.test(model);
  return {
    ...node,
    inputs: Object.fromEntries(inputs),
    parameters: isPath ? { ...node.parameters, model: resolve(folder, model) } : node.parameters,
  };
}

function withModel(document: GraphDocument, model: string | undefined): GraphDocument {
  if (model === undefined) return document;
  const named = Object.entries(document.nodes).filter(([, { parameters }]) => "model" in parameters);
  return setParameters(document, Object.fromEntries(named.map(([id]) => [`${id}.model`, pathOrName(model)])));
}

/** Throws if the graph has no such output, or if a file's name does not fit its output. */
async function checkSaved(save: readonly SavedOutput[], nodes: GraphPlan["nodes"]): Promise<void> {
  const kinds = new Map<string, string>(
    nodes.flatMap(({ id, stage }) =>
      Object.entries(stage.outputs).map(([port, { kind }]) => [`${id}.${port}`, kind] as const)
    ),
  );
  for (const { output, file } of save) {
    const kind = kinds.get(output);
    if (kind === undefined) {
      throw new UsageError(
        `Cannot save "${output}": the outputs of the graph are ${[...kinds.keys()].join(", ")}`,
        "save",
      );
    }
    if (kind !== "image") await checkTensorNames([file]);
    else if (!file.endsWith(".safetensors")) pictureFormat({ output: file });
  }
}

async function saveNamed(made: RunResult, files: readonly SavedOutput[]): Promise<string[]> {
  const paths: string[] = [];
  for (const { output, file } of files) {
    paths.push(...await saveOutput(made.get(output)!, file));
  }
  return paths;
}

/** Returns the files for the pictures of the last nodes. */
function defaultFiles(outputs: ReadonlyMap<string, { readonly kind: string }>): SavedOutput[] {
  const images = [...outputs].filter(([, { kind }]) => kind === "image").map(([output]) => output);
  const nodes = images.map((output) => splitSource(output)[0]);
  return images.map((output, index) => {
    const node = nodes[index]!;
    // If a node has two images, the file name also contains the port.
    const name = nodes.indexOf(node) === nodes.lastIndexOf(node) ? node : output;
    return { output, file: `${name}.png` };
  });
}

async function saveOutput(made: MadeArtifact, file: string): Promise<string[]> {
  if (file.endsWith(".safetensors") || made.artifact.kind !== "image") {
    return [await saveArtifact(made, file)];
  }
  return await saveMadePictures(made, { output: file, format: pictureFormat({ output: file }) });
}

function saved(text: string, gathered: readonly SavedOutput[] = []): SavedOutput[] {
  const [, output, file] = /^([\w-]+\.\w+)=(.+)$/.exec(text) ?? [];
  if (output !== undefined && file !== undefined) return [...gathered, { output, file }];
  throw new InvalidArgumentError("It must be NODE.PORT=FILE.");
}
