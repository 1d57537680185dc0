import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import project from "../../deno.json" with { type: "json" };
import { TINY } from "../cli/run_cli.ts";
import { needing, UNIX } from "../needing.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Traces of ONNX Runtime's telemetry: a device id and queued events, a log, and a queue without a folder.
 */
const TRACES = /^Microsoft$|^mat-debug-|\.ses$/;

const PICTURE = ["cute cat", "-m", TINY, "--steps", "2", "-W", "64", "-H", "64", "--seed", "1"];

/** A fresh home folder and temporary folder. */
interface FreshMachine {
  /** The parent folder of both, where processes start. */
  readonly folder: string;
  /**
   * The complete environment of processes. It does not reveal an automated build, because ONNX Runtime
   * disables telemetry there.
   */
  readonly env: Readonly<Record<string, string>>;
}

/** Runs processes with fresh folders. Returns the telemetry traces that they leave. */
async function tracesOf(run: (machine: FreshMachine) => Promise<void>): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: "pixstage-telemetry-" });
  try {
    const [home, temporary] = ["home", "tmp"].map((name) => join(folder, name));
    await Promise.all([home, temporary].map((path) => Deno.mkdir(path!)));
    const denoFolder = JSON.parse(
      await output(new Deno.Command(Deno.execPath(), { args: ["info", "--json"] })),
    );
    const env = {
      PATH: Deno.env.get("PATH") ?? "",
      DENO_DIR: String(denoFolder.denoDir),
      HOME: home!,
      TMPDIR: temporary!,
    };
    await run({ folder, env });
    const left = await readdir(folder, { recursive: true, withFileTypes: true });
    return left.filter(({ name }) => TRACES.test(name))
      .map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a command that must succeed. */
async function output(command: Deno.Command): Promise<string> {
  const { code, stdout, stderr } = await command.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** Runs one of the project's modules, and waits for its end. */
async function runModule({ folder, env }: FreshMachine, module: string, ...args: string[]): Promise<void> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(ROOT, module), ...args],
    cwd: folder,
    env,
    clearEnv: true,
    stdin: "null",
  });
  await output(command);
}

/** Runs a script with the project's dependencies. */
async function runScript(machine: FreshMachine, code: string): Promise<void> {
  const script = join(machine.folder, "script.ts");
  await Deno.writeTextFile(script, code);
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", join(ROOT, "deno.json"), script],
    cwd: machine.folder,
    env: machine.env,
    clearEnv: true,
    stdin: "null",
  });
  await output(command);
}

/** Returns an ONNX graph that adds a tensor to itself. */
const TWICE = `
import { GraphBuilder } from ${JSON.stringify(join(ROOT, "models/onnx/graph_builder.ts"))};
const g = new GraphBuilder();
const x = g.input("x", "float32", ["n"]);
g.output("twice", g.add(x, x), ["n"]);
const graph = g.build("twice");
`;

const LIBRARY = `
import { localRun, runGraph, textToImage } from ${JSON.stringify(join(ROOT, "mod.ts"))};
const request = { model: ${JSON.stringify(TINY)}, prompts: ["cute cat"], steps: 2, width: 64, height: 64 };
await runGraph(textToImage(request, { guided: true }), localRun());
`;

/** Starts a server, requests one picture, and stops. */
async function servePicture({ folder, env }: FreshMachine, args: readonly string[]): Promise<void> {
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...args, "--port", "0", "-m", `tiny=${TINY}`],
    cwd: folder,
    env,
    clearEnv: true,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const lines = server.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let log = "";
  for (;;) {
    const { value, done } = await lines.read();
    assert.ok(!done, log);
    log += value;
    const address = /listens at (http:\S+)/.exec(log)?.[1];
    if (address === undefined) continue;
    const response = await fetch(`${address}/v1/images/generations`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "tiny", prompt: "cute cat", size: "64x64" }),
    });
    assert.equal(response.status, 200, await response.text());
    break;
  }
  server.kill("SIGTERM");
  await lines.cancel();
  await server.status;
}

const ENTRY_POINTS: Readonly<Record<string, (machine: FreshMachine) => Promise<void>>> = {
  "the command line": (machine) => runModule(machine, "cli.ts", "gen", ...PICTURE),
  "a worker": (machine) => runModule(machine, "cli.ts", "gen", ...PICTURE, "--executor", "worker"),
  "a child process": (machine) => runModule(machine, "cli.ts", "gen", ...PICTURE, "--executor", "process"),
  "the library": (machine) => runScript(machine, LIBRARY),
  "the server": (machine) => servePicture(machine, [join(ROOT, "server.ts")]),
  "the server as a command": (machine) => servePicture(machine, [join(ROOT, "cli.ts"), "serve"]),
};

for (const [name, run] of Object.entries(ENTRY_POINTS)) {
  Deno.test(needing(UNIX, {
    name: `ONNX Runtime's telemetry leaves no traces: ${name}`,
    fn: async () => assert.deepEqual(await tracesOf(run), []),
  }));
}

Deno.test(needing(UNIX, {
  name: "ONNX Runtime's telemetry leaves traces if it is on, so these tests would find them",
  fn: async () => {
    const code = `${TWICE}
import { InferenceSession } from "onnxruntime-node";
await InferenceSession.create(graph.bytes);`;
    assert.notDeepEqual(await tracesOf((machine) => runScript(machine, code)), []);
  },
}));

Deno.test("ONNX Runtime's native library is imported in one place, where its telemetry is off", async () => {
  const files = await readdir(ROOT, { recursive: true });
  const isGenerated = (path: string): boolean =>
    project.exclude.some((folder) => path.startsWith(join(folder, "/")));
  const importing: string[] = [];
  for (
    const path of files.filter((path) =>
      path.endsWith(".ts") && basename(path) !== "telemetry_slow_test.ts" && !isGenerated(path)
    )
  ) {
    const code = await Deno.readTextFile(join(ROOT, path));
    if (/(?:from|import)\s*\(?\s*"(?:npm:)?onnxruntime-node/.test(code)) importing.push(path);
  }
  assert.deepEqual(importing, [join("runtime", "onnxruntime_node.ts")]);
});
