import assert from "node:assert/strict";
import { ProcessExecutor } from "../../../graph/executors/process.ts";
import { StageProcessError } from "../../../graph/hosts/host_error.ts";
import { loadPlugins } from "../../../graph/plugins.ts";
import { runGraph } from "../../../graph/run.ts";
import { StageRegistry } from "../../../stages/registry.ts";
import { MEMORY_GROUPS, MemoryGroup } from "./memory_group.ts";
import { numberOf } from "./toy_plugin.ts";
import { needing } from "../../needing.ts";

const plugins = [new URL("./toy_plugin.ts", import.meta.url).href];

Deno.test(needing(MEMORY_GROUPS, {
  name:
    "process: a child that the kernel kills for its memory causes a clear error, and this process continues",
  async fn() {
    using group = new MemoryGroup(300e6);
    const executor = new ProcessExecutor({ plugins, onStart: (pid) => group.add(pid) });
    const registry = await loadPlugins(new StageRegistry(), plugins);
    const hoard = (megabytes: number) =>
      runGraph({ pixstage: 1, nodes: { hoard: { stage: "hoard", parameters: { megabytes } } } }, {
        registry,
        executors: [executor],
      });
    await assert.rejects(hoard(600), (error) => {
      assert(error instanceof StageProcessError);
      assert.equal(error.signal, "SIGKILL");
      assert.match(error.message, /"hoard": .* SIGKILL\. The system does this when memory runs out/);
      return true;
    });
    assert.equal(numberOf((await hoard(10)).get("hoard.end")?.artifact), 10e6);
  },
}));
