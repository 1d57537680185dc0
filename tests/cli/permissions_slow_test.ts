import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { needing } from "../needing.ts";
import { REDIS, RedisServer } from "../queue/queue_servers.ts";
import { WorkerProcess } from "../queue/worker_process.ts";
import { ServerProcess } from "../server/server_process.ts";
import { type CommandResult, inFolder, resultOf, runTask, storeOf, TINY } from "./run_cli.ts";

const CLI = fileURLToPath(new URL("../../cli.ts", import.meta.url));
const PROBE = fileURLToPath(new URL("probing_plugin.ts", import.meta.url));
const SMALL = ["-m", TINY, "--seed", "3", "--steps", "2", "-W", "64", "-H", "64"];

/** Runs the command line with Deno's flags instead of a task. */
function runWith(folder: string, flags: readonly string[], ...args: string[]): Promise<CommandResult> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", ...flags, CLI, ...args],
    cwd: folder,
    env: { PIXSTAGE_STORE: storeOf(folder) },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  return resultOf(command.spawn());
}

/** Checks that a command failed with one line. */
function assertRefused({ status, stderr }: CommandResult, pattern: RegExp): void {
  assert.equal(status, 1, stderr);
  assert.match(stderr, pattern);
  assert.equal(stderr.trim().split("\n").length, 1, stderr);
}

/** Checks that a server makes a picture. */
async function assertMakesPicture(server: ServerProcess): Promise<void> {
  const response = await fetch(`${server.url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tiny", prompt: "cat", size: "64x64", response_format: "b64_json" }),
  });
  const { data, error } = await response.json();
  assert(data?.[0].b64_json.length > 100, `${error?.message}: ${server.log}`);
}

Deno.test("each command works with the permissions of its task", async () => {
  await inFolder(async (folder) => {
    const run = async (...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await runTask(folder, { LD_LIBRARY_PATH: folder }, ...args);
      assert.equal(status, 0, `${args.join(" ")}: ${stderr}`);
      return stdout;
    };
    const bytes = (name: string) => readFile(join(folder, name));

    await run(
      "gen",
      "cat",
      ...SMALL,
      "--memory-report",
      "--save-latents",
      "cat.latents.safetensors",
      "-o",
      "cat.png",
    );
    for (const executor of ["worker", "process"]) {
      await run("gen", "cat", ...SMALL, "--no-store", "--executor", executor, "-o", `${executor}.png`);
      assert.deepEqual(await bytes(`${executor}.png`), await bytes("cat.png"), executor);
    }
    await run("encode", "cat", "-m", TINY, "-o", "cat.embeds.safetensors");
    await run("denoise", "cat.embeds.safetensors", ...SMALL, "-o", "same.latents.safetensors");
    await run("decode", "same.latents.safetensors", "-m", TINY, "-o", "same.png");
    await run("resume", "cat.latents.safetensors", "-o", "again.png");
    await run("rerun", "cat.png", "-o", "rerun.png");
    await run(
      "compare",
      "cat",
      "-m",
      TINY,
      "--a",
      "steps=2",
      "--b",
      "steps=3",
      "--set",
      "width=64,height=64",
    );
    await run(
      "grid",
      "cat",
      ...SMALL.slice(0, 4),
      "--x",
      "steps=2,3",
      "-W",
      "64",
      "-H",
      "64",
      "-o",
      "grid.png",
    );
    await run("plan", "cat", ...SMALL);
    assert.match(await run("inspect", "cat.png"), /denoise/);
    assert.match(await run("store", "ls"), /decode/);
    assert.match(await run("models"), /pixstage-emoji/);
    assert.match(await run("devices"), /cpu/);
    await run("quantized", "ls");
    await run("schedulers");
    await run("stages");
    assert.match(await run("doctor"), /permissions .*read/);
    assert.match(await run("pixstage", "--version"), /\d/);
  });
});

Deno.test("a server serves, and neither it nor its stages may run a shell or read unlisted variables", async () => {
  await inFolder(async (folder) => {
    const report = join(folder, "probe.json");
    await using server = new ServerProcess({
      store: storeOf(folder),
      args: ["--plugin", PROBE],
      env: { PIXSTAGE_PROBE: report, UNLISTED_SECRET: "secret" },
      asTask: true,
    });
    await server.listens();
    await assertMakesPicture(server);

    const graph = { pixstage: 1, nodes: { probe: { stage: "probe", parameters: {}, inputs: {} } } };
    const job = await server.order({ graph });
    assert.equal((await server.ended(job.id)).status, "completed", server.log);
    const read = async (path: string) => JSON.parse(await readFile(path, "utf8"));
    // The server starts Deno for its stages, and answers over the network. Its stages do neither.
    assert.deepEqual(await read(report), [0, 1, 0, 0, 1]);
    assert.deepEqual(await read(`${report}.stage`), [0, 0, 0, 0, 0]);
  });
});

Deno.test("PIXSTAGE_PERMISSIONS reaches the processes that run stages", async () => {
  await inFolder(async (folder) => {
    const report = join(folder, "probe.json");
    const PIXSTAGE_PERMISSIONS = "--allow-env=UNLISTED_SECRET --allow-run=sh --allow-net";
    await using server = new ServerProcess({
      store: storeOf(folder),
      args: ["--plugin", PROBE],
      env: { PIXSTAGE_PROBE: report, UNLISTED_SECRET: "secret", PIXSTAGE_PERMISSIONS },
      asTask: true,
    });
    await server.listens();
    const graph = { pixstage: 1, nodes: { probe: { stage: "probe", parameters: {}, inputs: {} } } };
    const job = await server.order({ graph });
    assert.equal((await server.ended(job.id)).status, "completed", server.log);
    assert.deepEqual(JSON.parse(await readFile(`${report}.stage`, "utf8")), [1, 0, 1, 0, 1]);
  });
});

Deno.test("a server whose files are limited to its folders makes pictures there", async () => {
  await inFolder(async (folder) => {
    const places = [folder, storeOf(folder), TINY, "/tmp"].join(",");
    const project = fileURLToPath(new URL("../..", import.meta.url));
    const cache = JSON.parse(
      new TextDecoder().decode(
        (await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output()).stdout,
      ),
    ).npmCache;
    const PIXSTAGE_PERMISSIONS = `--allow-read=${places},${project},${cache} --allow-write=${places}`;
    await using server = new ServerProcess({
      store: storeOf(folder),
      env: { PIXSTAGE_PERMISSIONS },
      asTask: true,
    });
    await server.listens();
    await assertMakesPicture(server);
  });
});

Deno.test(needing(REDIS, {
  name: "a worker takes the stages of a run from a queue",
  async fn() {
    await inFolder(async (folder) => {
      await using redis = await RedisServer.start();
      const queue = `redis://127.0.0.1:${redis.port}`;
      const store = storeOf(folder);
      await using worker = new WorkerProcess({
        queue,
        store,
        stages: "encode,denoise,decode",
        models: `tiny=${TINY}`,
        asTask: true,
      });
      await worker.works();
      const options = ["-m", "tiny", ...SMALL.slice(2), "--executor", `queue:${queue}`, "-o", "cat.png"];
      const { status, stderr } = await runTask(folder, {}, "gen", "cat", ...options);
      assert.equal(status, 0, stderr + worker.log);
      assert.equal(worker.done().length, 3, worker.log);
    });
  },
}));

Deno.test("a refused permission is an error of one line that names the flag", async () => {
  await inFolder(async (folder) => {
    const task = (PIXSTAGE_PERMISSIONS: string, ...args: string[]) =>
      runTask(folder, { PIXSTAGE_PERMISSIONS }, ...args);
    assertRefused(
      await task("--allow-write=/nowhere", "gen", "cat", ...SMALL, "--no-store", "-o", "cat.png"),
      /^error: Cannot write ".*cat\.png" because Deno does not permit .* add --allow-write=\S*pixstage-test-\w+ to/,
    );
    assertRefused(
      await task(
        "--allow-net=localhost",
        "gen",
        "cat",
        "-m",
        "PixArt-alpha/PixArt-XL-2-512x512",
        "--no-store",
      ),
      /Deno does not permit net access to "huggingface\.co:443".* add --allow-net=huggingface\.co:443/,
    );
    const files = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
    assertRefused(
      await runWith(folder, files, "gen", "cat", ...SMALL, "--no-store"),
      /^error: Deno does not permit ffi access .* add --allow-ffi/,
    );
    assertRefused(
      await runWith(
        folder,
        [...files, "--allow-ffi"],
        "gen",
        "cat",
        ...SMALL,
        "--no-store",
        "--executor",
        "process",
      ),
      /^error: Deno does not permit run access to ".*deno.*"/,
    );
    assertRefused(
      await runWith(folder, [], "gen", "cat"),
      /^error: Deno does not permit env access .* add --allow-env/,
    );
  });
});
