import assert from "node:assert/strict";
import { join } from "node:path";
import { ServerProcess, type ServerProcessOptions } from "../server/server_process.ts";
import { sseEvents } from "../server/serving.ts";
import { inFolder, runCli, startCli, startCliWith, TINY } from "./run_cli.ts";

const PICTURE = ["gen", "cute cat", "-m", TINY, "--seed", "3", "--steps", "4", "-W", "64", "-H", "64"];

/** Servers with separate stores. They serve the tiny model under the name that the command line sends. */
class Servers implements AsyncDisposable {
  #servers: ServerProcess[] = [];
  #stores: string[] = [];

  /** Starts a server and waits until it listens. */
  async start(options: Partial<ServerProcessOptions> = {}): Promise<ServerProcess> {
    const store = await Deno.makeTempDir({ prefix: "pixstage-test-" });
    this.#stores.push(store);
    const server = new ServerProcess({ models: [TINY], ...options, store });
    this.#servers.push(server);
    return await server.listens();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.end("SIGTERM")));
    for (const store of this.#stores) await Deno.remove(store, { recursive: true });
  }
}

/** Returns the jobs of a server, newest first. */
async function jobsOf(server: ServerProcess): Promise<{ id: string; kind: string; status: string }[]> {
  const { data } = await (await fetch(`${server.url}/v1/jobs`)).json();
  return data;
}

Deno.test("stages on three servers produce the bytes of a local run", async () => {
  await using servers = new Servers();
  const [encoder, denoiser, decoder] = await Promise.all([1, 2, 3].map(() => servers.start()));
  const places = [["encode", encoder!], ["denoise", denoiser!], ["decode", decoder!]] as const;
  await inFolder(async (folder) => {
    const local = await runCli(folder, ...PICTURE, "--no-store", "-o", "local.png");
    assert.equal(local.status, 0, local.stderr);
    const spread = await runCli(
      folder,
      ...PICTURE,
      ...["--no-store", "-o", "spread.png", "--json", "--executor"],
      places.map(([stage, { url }]) => `${stage}=${url}`).join(","),
    );
    assert.equal(spread.status, 0, spread.stderr);
    assert.deepEqual(
      await Deno.readFile(join(folder, "spread.png")),
      await Deno.readFile(join(folder, "local.png")),
    );
    const events = spread.stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.equal(
      events.filter(({ type, stage }) => type === "step" && stage === "denoise").length,
      4,
      "steps are reported while they run elsewhere",
    );
    for (const [stage, server] of places) {
      const jobs = await jobsOf(server);
      // Prompt and negative prompt are encoded in one run.
      assert.equal(jobs.length, 1, stage);
      assert(jobs.every(({ kind, status }) => kind === "stage" && status === "completed"), stage);
    }

    // All stages on one server.
    const whole = await runCli(
      folder,
      ...PICTURE,
      "--no-store",
      "-o",
      "whole.png",
      "--executor",
      decoder!.url,
    );
    assert.equal(whole.status, 0, whole.stderr);
    assert.deepEqual(
      await Deno.readFile(join(folder, "whole.png")),
      await Deno.readFile(join(folder, "local.png")),
    );
  });
});

Deno.test("errors explain a server that is down, requires a key, or lacks the model, and say what to do", async () => {
  await using servers = new Servers();
  const [locked, other] = await Promise.all([
    servers.start({ env: { PIXSTAGE_API_KEY: "secret" } }),
    servers.start({ models: [`elsewhere=${TINY}`] }),
  ]);
  await inFolder(async (folder) => {
    const refused: [stage: string, url: string, told: RegExp][] = [
      ["encode", "http://127.0.0.1:9", /Cannot reach http:\/\/127\.0\.0\.1:9: .*is its server running/],
      ["decode", "http://127.0.0.1:9", /Cannot reach http:\/\/127\.0\.0\.1:9: .*is its server running/],
      ["encode", locked.url, /requires an API key: .*PIXSTAGE_TOKEN/],
      ["denoise", locked.url, /requires an API key: .*PIXSTAGE_TOKEN/],
      ["encode", other.url, /There is no model .*tiny-alpha-512.*Did you mean "elsewhere"/],
      ["encode", "ftp://example", /on "ftp:\/\/example": the executors are /],
    ];
    for (const [stage, url, told] of refused) {
      const { status, stderr } = await runCli(
        folder,
        ...PICTURE,
        "--no-store",
        "--executor",
        `${stage}=${url}`,
      );
      assert.match(stderr, told);
      assert.doesNotMatch(stderr, /\n {4}at /, "no stack trace");
      assert(status === 1 || status === 2, `${status}`);
    }
    const env = { PIXSTAGE_TOKEN: "secret" };
    const keyed = [...PICTURE, "-o", "keyed.png", "--executor", locked.url];
    const { code, stderr } = await startCliWith(folder, env, ...keyed).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  });
});

Deno.test("a server that dies during a run is reported, and the same command continues when it is back", async () => {
  const store = await Deno.makeTempDir({ prefix: "pixstage-test-" });
  let server = await new ServerProcess({ store, models: [TINY] }).listens();
  try {
    await inFolder(async (folder) => {
      // Snapshots are stored every five seconds, so the run must take longer even on a fast machine.
      const size = ["-W", "768", "-H", "768", "--no-resolution-binning", "--steps", "150"];
      const args = ["gen", "cute cat", "-m", TINY, ...size, "--json", "--executor", `denoise=${server.url}`];
      const cut = startCli(folder, ...args);
      const stdout = new Response(cut.stdout).text();
      await checkpointOf(server);
      await server.end("SIGKILL");
      const { code, stderr } = await ending(cut);
      assert.match(
        stderr,
        /Cannot run "denoise": the connection to http:\S+ broke off\. Once it is back, the same run continues/,
      );
      assert.equal(code, 1);
      assert.match(await stdout, /"type":"failed"/);

      const port = Number(new URL(server.url).port);
      server = await new ServerProcess({ store, models: [TINY], port }).listens();
      const again = await runCli(folder, ...args);
      assert.equal(again.status, 0, again.stderr);
      const [, step] = /"type":"stage:resumed","step":(\d+)/.exec(again.stdout) ?? [];
      assert(Number(step) > 0, "the server began anew");
    });
  } finally {
    await server.end("SIGTERM");
    await Deno.remove(store, { recursive: true });
  }
});

/** Waits until the job of a server has stored a snapshot. */
async function checkpointOf(server: ServerProcess): Promise<void> {
  let [job] = await jobsOf(server);
  while (!job) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    [job] = await jobsOf(server);
  }
  for await (const { event } of sseEvents(await fetch(`${server.url}/v1/jobs/${job.id}/events`))) {
    if (event === "checkpoint") return;
  }
  assert.fail("the job was over before a checkpoint was kept");
}

Deno.test("Ctrl-C stops the stage on the server too", async () => {
  await using servers = new Servers();
  const server = await servers.start();
  await inFolder(async (folder) => {
    const args = ["-m", TINY, "-W", "512", "-H", "512", "--steps", "150", "--json"];
    const run = startCli(folder, "gen", "cute cat", ...args, "--executor", `denoise=${server.url}`);
    let text = "";
    for await (const chunk of run.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (/"type":"step","step":2,.*"stage":"denoise"/.test(text)) break;
    }
    run.kill("SIGINT");
    const { code, stderr } = await ending(run);
    assert.equal(code, 130, stderr);
    for (let tries = 0;; tries++) {
      const [{ status } = { status: "none" }] = await jobsOf(server);
      if (status === "cancelled") break;
      assert(tries < 100, `the job on the server is ${status}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
});

/** Waits for the end of a command whose output was read in part. */
async function ending(child: Deno.ChildProcess): Promise<{ code: number; stderr: string }> {
  const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
  return { code, stderr };
}
