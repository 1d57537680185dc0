/**
 * A process that runs a long stage, which its argument names, in a child process, and waits to be killed.
 *
 * @module
 */

import { ProcessExecutor } from "../../../graph/executors/process.ts";
import { loadPlugins } from "../../../graph/plugins.ts";
import { runGraph } from "../../../graph/run.ts";
import { StageRegistry } from "../../../stages/registry.ts";

const plugins = [new URL("./toy_plugin.ts", import.meta.url).href];
const print = (text: string): unknown => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));

const [stage] = Deno.args;

await runGraph({ pixstage: 1, nodes: { long: { stage, parameters: { ms: 60_000 } } } }, {
  registry: await loadPlugins(new StageRegistry(), plugins),
  executors: [new ProcessExecutor({ plugins, onStart: (pid) => print(`pid ${pid}`) })],
  onEvent: ({ type }) => type === "step" && print("began"),
});
