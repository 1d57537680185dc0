/**
 * A process that runs a long stage in a child process, and waits to be killed. Its arguments are the name of
 * the stage and, optionally, the folder of its store.
 *
 * @module
 */

import { FolderStore } from "../../../artifacts/store/folder_store.ts";
import { ProcessExecutor } from "../../../graph/executors/process.ts";
import { loadPlugins } from "../../../graph/plugins.ts";
import { runGraph } from "../../../graph/run.ts";
import { StageRegistry } from "../../../stages/registry.ts";

const plugins = [new URL("./toy_plugin.ts", import.meta.url).href];
const [stage, folder] = Deno.args;
const print = (text: string): unknown => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));

await runGraph({ pixstage: 1, nodes: { long: { stage, parameters: { ms: 60_000 } } } }, {
  ...(folder === undefined ? {} : { store: new FolderStore(folder) }),
  registry: await loadPlugins(new StageRegistry(), plugins),
  executors: [new ProcessExecutor({ plugins, onStart: (pid) => print(`pid ${pid}`) })],
  onEvent: ({ type }) => type === "step" && print("began"),
});
