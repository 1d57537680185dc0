import assert from "node:assert/strict";
import { LINUX, needing } from "../needing.ts";

const KERNEL = new URL("../../system/kernel.ts", import.meta.url).href;
const MEMORY = new URL("../../runtime/memory.ts", import.meta.url).href;

/** Runs a module that imports the kernel's files and signals, with the given flags. */
async function run(
  flags: readonly string[],
  code: string,
): Promise<Deno.CommandOutput & { readonly text: string }> {
  const module = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      module,
      `import { isAlive, killThisProcess, listKernelFolder, readKernelFile, writeKernelFile } from "${KERNEL}";
      import { memoryFigures } from "${MEMORY}";
      ${code}`,
    );
    const args = ["run", "--quiet", "--no-prompt", "--no-check", ...flags, module];
    const output = await new Deno.Command(Deno.execPath(), { args }).output();
    return { ...output, text: new TextDecoder().decode(output.stdout) };
  } finally {
    await Deno.remove(module);
  }
}

const FIGURES = `console.log(JSON.stringify([
  memoryFigures(), isAlive(Deno.ppid), isAlive(2 ** 22 + 1), Number(readKernelFile("/proc/thread-self/schedstat").split(" ")[0]) > 0,
  listKernelFolder("/proc/self/task").includes(String(Deno.pid)),
]));
writeKernelFile("/proc/self/clear_refs", "5");`;

Deno.test(needing(LINUX, {
  name: "the kernel's files can be read with the permission for native libraries alone",
  async fn() {
    for (const flags of [["-A"], ["--allow-ffi", "--allow-read"]]) {
      const { text, success } = await run(flags, FIGURES);
      assert(success);
      const [memory, parent, nobody, isBusy, hasMainThread] = JSON.parse(text);
      assert(memory.resident > 1e7 && memory.file > 0 && memory.peak >= memory.resident, text);
      assert.deepEqual([parent, nobody, isBusy, hasMainThread], [true, false, true, true]);
    }
  },
}));

Deno.test("without permissions memory is still known, and processes count as running", async () => {
  const { text } = await run([], `console.log(memoryFigures().resident > 1e7, isAlive(2 ** 22 + 1))`);
  assert.equal(text, "true true\n");
});

Deno.test(needing(LINUX, {
  name: "killThisProcess() ends a process whose main thread is blocked",
  async fn() {
    const code = `if (self.name === "thread") killThisProcess();
      else new Worker(import.meta.url, { type: "module", name: "thread" });
      const until = performance.now() + 20_000;
      while (performance.now() < until);`;
    const { signal } = await run(["--allow-ffi", "--allow-read"], code);
    assert.equal(signal, "SIGKILL");
  },
}));
