import assert from "node:assert/strict";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { commandLine, inFolder, runCli, startCli, storeOf, TINY } from "./run_cli.ts";
import { LINUX, needing, UNIX } from "../needing.ts";

const CAT = [
  "gen",
  "cute cat",
  "-m",
  TINY,
  "-W",
  "64",
  "-H",
  "48",
  "--steps",
  "4",
  "--no-resolution-binning",
];

/** Runs a command with its output piped to `head -1`. Returns its own status and its output. */
async function toHead(
  folder: string,
  redirection: string,
  ...args: string[]
): Promise<{ status: number; line: string; stderr: string }> {
  const script = `"$@" ${redirection} | head -1; exit \${PIPESTATUS[0]}`;
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", script, "bash", ...commandLine(...args)],
    cwd: folder,
    env: { PIXSTAGE_STORE: storeOf(folder) },
  }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { status: code, line: text(stdout), stderr: text(stderr) };
}

function closedTest(name: string, test: (folder: string) => Promise<void>): void {
  Deno.test(needing(UNIX, { name, fn: () => inFolder(test) }));
}

const RUNS: readonly (readonly [name: string, redirection: string, args: readonly string[]])[] = [
  ["--json", "", ["--json"]],
  ["--json and workers", "", ["--json", "--executor", "worker"]],
  ["--json and processes", "", ["--json", "--executor", "process"]],
  ["--verbose", "2>&1", ["--verbose"]],
  ["--verbose and processes", "2>&1", ["--verbose", "--executor", "process"]],
];

for (const [name, redirection, args] of RUNS) {
  closedTest(`gen continues quietly if the reader of its output is gone: ${name}`, async (folder) => {
    const { status, line, stderr } = await toHead(folder, redirection, ...CAT, ...args, "-o", "cat.png");
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(line, /^\{"type"/);
    assert.equal((await decodePicture(Deno.readFileSync(join(folder, "cat.png")))).pixels.width, 64);
  });
}

closedTest("lists and help end quietly if their reader is gone", async (folder) => {
  await runCli(folder, ...CAT, "-o", "cat.png");
  for (
    const args of [["store", "ls"], ["schedulers"], ["stages"], ["gen", "--help"], ["inspect", "cat.png"]]
  ) {
    const { status, stderr } = await toHead(folder, "", ...args);
    assert.equal(status, 0, args.join(" "));
    assert.doesNotMatch(stderr, /EPIPE|\n\s+at |error/, args.join(" "));
  }
});

closedTest("a picture without a reader causes an error of one line", async (folder) => {
  const script = `"$@" | true; exit \${PIPESTATUS[0]}`;
  const { code, stderr } = await new Deno.Command("bash", {
    args: ["-c", script, "bash", ...commandLine(...CAT, "-o", "-")],
    cwd: folder,
    env: { PIXSTAGE_STORE: storeOf(folder) },
  }).output();
  assert.equal(code, 1);
  assert.equal(
    new TextDecoder().decode(stderr),
    'error: Cannot write "standard output" because its reader has ended: let it read to the end\n',
  );
});

closedTest("a server continues to serve if the reader of its log is gone", async (folder) => {
  const server = startCli(folder, "serve", "--port", "0", "-m", `tiny=${TINY}`);
  const reader = server.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let address: string | undefined;
  for (let log = ""; address === undefined;) {
    const { value, done } = await reader.read();
    assert.ok(!done, log);
    log += value;
    address = /listens at (http:\S+)/.exec(log)?.[1];
  }
  await reader.cancel();
  for (let request = 0; request < 3; request++) {
    const response: Response = await fetch(`${address}/v1/models`);
    await response.body?.cancel();
    assert.equal(response.status, 200);
  }
  server.kill("SIGTERM");
  await server.stdout.cancel();
  assert.equal((await server.status).code, 0);
});

Deno.test(needing(LINUX, {
  name: "a full output causes an error of one line, and a full standard error causes none",
  fn: () =>
    inFolder(async (folder) => {
      const run = (redirection: string, ...args: string[]) =>
        new Deno.Command("bash", {
          args: ["-c", `"$@" ${redirection}`, "bash", ...commandLine(...args)],
          cwd: folder,
          env: { PIXSTAGE_STORE: storeOf(folder) },
        }).output();
      const full = await run("> /dev/full", "schedulers");
      assert.equal(full.code, 1);
      assert.match(
        new TextDecoder().decode(full.stderr),
        /^error: Cannot write "standard output" because the disk is full.*\n$/,
      );
      assert.equal((await run("2> /dev/full", ...CAT, "--verbose", "-o", "cat.png")).code, 0);
      assert.ok(Deno.statSync(join(folder, "cat.png")).isFile);
    }),
}));
