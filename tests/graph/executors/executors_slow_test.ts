import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { FolderStore } from "../../../artifacts/store/folder_store.ts";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import type { RunStore } from "../../../artifacts/store/store.ts";
import type { RunEvent } from "../../../graph/events.ts";
import type { Executor } from "../../../graph/executors/executor.ts";
import { InlineExecutor } from "../../../graph/executors/inline.ts";
import { ProcessExecutor } from "../../../graph/executors/process.ts";
import { StageProcessError } from "../../../graph/hosts/host_error.ts";
import { startWorker } from "../../../system/worker.ts";
import { WorkerExecutor } from "../../../graph/executors/worker.ts";
import { loadPlugins } from "../../../graph/plugins.ts";
import { runGraph } from "../../../graph/run.ts";
import type { RunOptions, RunResult } from "../../../graph/run_options.ts";
import { memoryFigures } from "../../../runtime/memory.ts";
import { StageRegistry } from "../../../stages/registry.ts";
import { withFolder } from "../../artifacts/store/samples.ts";
import { exitStatus, toPixstageError } from "../../../errors/foreign_error.ts";
import { PixstageError } from "../../../errors/pixstage_error.ts";
import { withVariables } from "../../environment.ts";
import { inOwnProcess } from "../../own_process.ts";
import { noModels, noRuntime } from "../toy_stages.ts";
import { FAILURES, numberOf } from "./toy_plugin.ts";

const plugins = [new URL("./toy_plugin.ts", import.meta.url).href];
const registry = await loadPlugins(new StageRegistry(), plugins);
const WORKER = new URL("../../../graph/hosts/worker_main.ts", import.meta.url);

/** The processes that were started. */
const pids: number[] = [];
const inline = new InlineExecutor({ models: noModels, runtime: noRuntime() });
const worker = new WorkerExecutor({
  plugins,
  createWorker: (listener) => startWorker(WORKER, listener),
});
const child = new ProcessExecutor({ plugins, onStart: (pid) => pids.push(pid) });

/** Runs a graph of toy stages and also returns its events. */
async function run(
  executor: Executor,
  nodes: Record<string, unknown>,
  options: Partial<RunOptions> = {},
): Promise<{ events: RunEvent[]; made?: RunResult; error?: unknown }> {
  const events: RunEvent[] = [];
  try {
    const made = await runGraph({ pixstage: 1, nodes }, {
      registry,
      executors: [executor],
      ...options,
      onEvent(event) {
        events.push(event);
        options.onEvent?.(event);
      },
    });
    return { events, made };
  } catch (error) {
    return { events, error };
  }
}

/** Returns whether a process exists. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

// A separate folder keeps the files of other programs out of this test.
const temporary = await Deno.makeTempDir({ prefix: "pixstage-test-" });
const variables = withVariables({ TMPDIR: temporary });
globalThis.addEventListener("unload", () => {
  variables[Symbol.dispose]();
  Deno.removeSync(temporary, { recursive: true });
});

/** Lists the temporary folders of executors. */
function temporaryFolders(): string[] {
  return [...Deno.readDirSync(temporary)].map(({ name }) => name).filter((name) =>
    /^pixstage-[0-9a-f]{16}$/.test(name)
  );
}

const chain = {
  one: { stage: "count", parameters: { steps: 3 } },
  two: { stage: "count", parameters: { steps: 4 }, inputs: { start: "one.end" } },
  three: { stage: "pass", inputs: { any: "two.end" } },
};

Deno.test("all executors produce the same artifacts and events with every store", async () => {
  const shape = ({ type, ...event }: RunEvent): string => `${type} ${"node" in event ? event.node : ""}`;
  const expected = await run(inline, chain);
  const check = async (executor: Executor, store: RunStore): Promise<void> => {
    const { made, events } = await run(executor, chain, { store });
    assert.equal(numberOf(made?.get("three.any")?.artifact), 7);
    assert.equal(made?.get("three.any")?.id, expected.made?.get("three.any")?.id);
    assert.deepEqual(made?.get("three.any")?.provenance, expected.made?.get("three.any")?.provenance);
    assert.deepEqual(events.map(shape), expected.events.map(shape));
  };
  for (const executor of [inline, worker, child]) {
    await check(executor, new MemoryStore());
    await withFolder((folder) => check(executor, new FolderStore(folder)));
  }
});

Deno.test("nodes run in the executor of the placement, else of the graph, else in the first one", async () => {
  const started = pids.length;
  const nodes = { ...chain, two: { ...chain.two, executor: "process" } };
  await run(inline, nodes, { executors: [inline, worker, child] });
  assert.equal(pids.length - started, 1);
  await run(inline, nodes, {
    executors: [inline, worker, child],
    placement: { two: "inline", pass: "process" },
  });
  assert.equal(pids.length - started, 2);
  const { error } = await run(inline, nodes, { executors: [inline, child], placement: { tow: "inline" } });
  assert.match(
    String(error),
    /Cannot choose an executor for "tow": there is no such node or stage\. Did you mean "two"\?/,
  );
});

for (const executor of [worker, child]) {
  Deno.test(`${executor.name}: an error has the same code, name and message as inline`, async () => {
    for (const name of FAILURES) {
      const nodes = { bad: { stage: "fail", parameters: { error: name } } };
      const there = await run(executor, nodes);
      const here = await run(inline, nodes);
      assert.ok(there.error instanceof PixstageError);
      const { code, fault, message, details, cause } = toPixstageError(here.error);
      assert.deepEqual([there.error.name, there.error.code, there.error.fault], [name, code, fault]);
      assert.equal(there.error.message, message);
      assert.deepEqual(there.error.details, details);
      assert.equal(exitStatus(there.error), exitStatus(here.error));
      if (cause !== undefined) {
        assert.equal(toPixstageError(there.error.cause).code, toPixstageError(cause).code);
      }
      assert.deepEqual(there.events.at(-1)?.type, "failed");
    }
  });

  Deno.test(`${executor.name}: a stage that blocks its thread is stopped within a step`, async () => {
    await withFolder(async (folder) => {
      for (const store of [new MemoryStore(), new FolderStore(folder)]) {
        const controller = new AbortController();
        let stopped = 0;
        const { error, events } = await run(executor, {
          long: { stage: "block", parameters: { ms: 20_000 } },
        }, {
          store,
          signal: controller.signal,
          onEvent(event) {
            if (event.type !== "step") return;
            stopped = performance.now();
            controller.abort(new Error("enough"));
          },
        });
        const waited = performance.now() - stopped;
        assert.equal((error as Error).message, "enough");
        assert.equal(events.at(-1)?.type, "cancelled");
        assert.ok(waited < 2000, `It took ${waited} ms to stop`);
      }
      assert.deepEqual(temporaryFolders(), []);
      assert.deepEqual(pids.filter(isAlive), []);
    });
  });
}

Deno.test("a host that sends an invalid message fails its task, and nothing else", async () => {
  const muddle = (sends: string) => ({ bad: { stage: "muddle", parameters: { sends } } });
  for (const executor of [worker, child]) {
    for (const sends of ["plan", "report"]) {
      const { error } = await run(executor, muddle(sends));
      assert.ok(error instanceof PixstageError);
      assert.equal(error.code, "internal");
      assert.match(error.message, /^Cannot read a message of the host that ran the stage: /);
    }
  }
  const { error } = await run(child, muddle("noise"));
  assert.ok(error instanceof StageProcessError);
  assert.match(error.message, /failed: its output cannot be read: /);
  assert.equal((await run(child, chain)).error, undefined);
});

Deno.test("process: output of a stage does not disturb the messages", async () => {
  const { made } = await run(child, { long: { stage: "block", parameters: { ms: 1, prints: true } } });
  assert.equal(numberOf(made?.get("long.end")?.artifact), 1);
});

Deno.test("process: a dead child is reported with stage and signal, and the run resumes from its snapshot", async () => {
  await withFolder(async (folder) => {
    const options = { store: new FolderStore(folder), snapshots: { everySteps: 1 } };
    const nodes = { long: { stage: "count", parameters: { steps: 9, dieAfter: 5 } } };
    const { error, events } = await run(child, nodes, options);
    assert.ok(error instanceof StageProcessError);
    assert.equal(error.stage, "count");
    assert.equal(error.signal, "SIGKILL");
    assert.match(error.message, /"count": the process that ran it was killed by SIGKILL/);
    assert.equal(events.at(-1)?.type, "failed");
    const again = await run(child, nodes, options);
    assert.equal(again.error, undefined);
    assert.equal(numberOf(again.made?.get("long.end")?.artifact), 9);
    const resumed = again.events.find(({ type }) => type === "stage:resumed");
    assert.ok(resumed?.type === "stage:resumed" && resumed.step === 5);
    // The state was removed together with the run that needed it.
    assert.equal((await Array.fromAsync(options.store.list())).length, 1);
  });
});

Deno.test(
  inOwnProcess(import.meta.url, {
    name: "process: the system has the memory of a stage back when the stage has ended",
    async fn() {
      const before = memoryFigures().anonymous ?? 0;
      const { events } = await run(child, { big: { stage: "hoard", parameters: { megabytes: 600 } } });
      const end = events.find(({ type }) => type === "stage:end");
      assert.ok(end?.type === "stage:end" && (end.memory?.peak ?? 0) > 600e6);
      assert.deepEqual(pids.filter(isAlive), []);
      const grown = (memoryFigures().anonymous ?? 0) - before;
      assert.ok(grown < 100e6, `The parent grew by ${grown} bytes`);
    },
  }),
);

/** Kills a process while its child runs a stage, and waits until the child has ended. */
async function killParent(...args: string[]): Promise<void> {
  const parent = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("./doomed_parent.ts", import.meta.url).href, ...args],
    stdout: "piped",
  }).spawn();
  const reader = parent.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("began\n")) text += (await reader.read()).value ?? "";
  const pid = Number(/pid (\d+)/.exec(text)?.[1]);
  assert.ok(isAlive(pid));
  parent.kill("SIGKILL");
  await parent.status;
  await reader.cancel();
  const deadline = performance.now() + 5000;
  while (isAlive(pid) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(!isAlive(pid), "The child is alive five seconds after its parent was killed");
}

for (const stage of ["block", "step", "wait"]) {
  Deno.test(`process: no child at "${stage}" and no temporary folder outlives a killed parent`, async () => {
    await killParent(stage);
    assert.deepEqual(temporaryFolders(), [], "without a store");
    await withFolder((folder) => killParent(stage, folder));
    assert.deepEqual(temporaryFolders(), [], "with a store in a folder");
  });
}
