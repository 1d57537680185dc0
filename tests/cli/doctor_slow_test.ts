import assert from "node:assert/strict";
import { chmod, cp, mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { embeddedModelFolder } from "../../hub/embedded_model.ts";
import { MEMORY_GROUPS, MemoryGroup } from "../graph/executors/memory_group.ts";
import { onSmallDisk, SMALL_DISKS } from "../full_disk/small_disk.ts";
import { needing, UNIX } from "../needing.ts";
import { commandLine, inFolder, startCliWith, startUnprivilegedWith, UNPRIVILEGED_USER } from "./run_cli.ts";

/** The output of `doctor --json`. */
interface Printed {
  readonly status: number;
  readonly stderr: string;
  readonly report: {
    readonly memory: { readonly groupLimit?: number; readonly addressSpaceLimit?: number };
    readonly environment: Readonly<Record<string, string>>;
    readonly findings: readonly { prevents: boolean; problem: string; advice: string }[];
  };
}

async function printed(process: Deno.ChildProcess): Promise<Printed> {
  const { code, stdout, stderr } = await process.output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { status: code, stderr: text(stderr), report: JSON.parse(text(stdout)) };
}

/** Asserts that exactly one thing is wrong, and that it has the expected weight. */
function assertOnly({ status, stderr, report }: Printed, prevents: boolean, problem: RegExp): void {
  assert.equal(report.findings.length, 1, JSON.stringify(report.findings));
  const [found] = report.findings;
  assert.match(found!.problem, problem);
  assert.equal(found!.prevents, prevents);
  assert.notEqual(found!.advice, "");
  assert.equal(status, prevents ? 1 : 0, stderr);
  if (prevents) assert.match(stderr, problem);
}

Deno.test(needing(UNPRIVILEGED_USER, {
  name: "doctor warns of a store that cannot be written, and refuses a folder for pictures that cannot",
  fn: () =>
    inFolder(async (folder) => {
      const locked = join(folder, "locked");
      await mkdir(locked);
      await chmod(locked, 0o555);
      const store = await printed(startUnprivilegedWith(
        folder,
        { PIXSTAGE_STORE: join(locked, "store"), PIXSTAGE_QUANTIZED: join(folder, "quantized") },
        "doctor",
        "--json",
      ));
      assertOnly(store, false, /^Cannot write ".*locked\/store" because permission is missing/);
      assertOnly(
        await printed(startUnprivilegedWith(locked, {}, "doctor", "--json")),
        true,
        /Cannot write ".*locked" because permission is missing/,
      );
      await chmod(locked, 0o755);
    }),
}));

Deno.test(needing(SMALL_DISKS, {
  name: "doctor warns of a disk that is nearly full, and refuses to save pictures on one that is full",
  fn: () =>
    inFolder((folder) =>
      onSmallDisk(8, async (disk) => {
        const env = { HF_HUB_CACHE: disk.folder };
        const small = await printed(startCliWith(folder, env, "doctor", "--json"));
        assertOnly(small, false, /^The disk of .*pixstage-disk.* has only 8\.\d+ MB left/);
        // A file without content still fits on a disk without room.
        await disk.fill();
        const full = await printed(startCliWith(disk.folder, {}, "doctor", "--json"));
        assertOnly(full, true, /The disk of .*pixstage-disk.* is full/);
      })
    ),
}));

Deno.test("doctor tells a wrong HF_HOME, whatever is wrong with it", () =>
  inFolder(async (folder) => {
    const at = (HF_HOME: string) => startCliWith(folder, { HF_HOME, HF_TOKEN: "hf_abc" }, "doctor", "--json");
    const missing = await printed(at(join(folder, "nowhere")));
    assertOnly(missing, false, /^HF_HOME leads to .*nowhere.hub, which does not exist/);
    assert.equal(missing.report.environment["HF_TOKEN"], "(set)");
    const file = join(folder, "file");
    await writeFile(file, "");
    assertOnly(await printed(at(file)), false, /^Cannot write ".*file.hub" because a part of the path/);
    const { report } = await printed(at("~/models"));
    assert.match(report.findings[0]!.problem, /^HF_HOME is ~\/models, which is relative/);
    assert.match(report.findings[0]!.advice, /\$HOME/);
  }));

Deno.test("doctor shows proxies without their passwords, and refuses what is not an address", () =>
  inFolder(async (folder) => {
    const env = { HTTPS_PROXY: "http://me:secret@proxy:3128", http_proxy: "proxy" };
    const process = startCliWith(folder, env, "doctor", "--json");
    const told = await printed(process);
    assert.doesNotMatch(JSON.stringify(told), /secret/);
    assert.equal(told.report.environment["HTTPS_PROXY"], "http://proxy:3128");
    assertOnly(told, false, /^http_proxy is proxy, which is not an address/);
  }));

Deno.test(needing(MEMORY_GROUPS, {
  name: "doctor refuses a control group with too little memory for the model",
  fn: () =>
    inFolder(async (folder) => {
      using group = new MemoryGroup(200e6);
      const process = await group.start(commandLine("doctor", "--json"), {
        cwd: folder,
        env: { PIXSTAGE_STORE: join(folder, "store") },
      });
      const told = await printed(process);
      assertOnly(
        told,
        true,
        /needs 2\d\d MB of memory, but .* because its control group is limited to 200 MB/,
      );
    }),
}));

Deno.test(needing(UNIX, {
  name: "doctor tells a limit of the address space",
  fn: () =>
    inFolder(async (folder) => {
      const { code, stdout } = await new Deno.Command("sh", {
        args: ["-c", 'ulimit -v 200000000; exec "$0" "$@"', ...commandLine("doctor", "--json")],
        cwd: folder,
        env: { PIXSTAGE_STORE: join(folder, "store") },
      }).output();
      const { memory, findings } = JSON.parse(new TextDecoder().decode(stdout));
      assert.equal(code, 0);
      assert.equal(memory.addressSpaceLimit, 200000000 * 1024);
      assert.match(findings[0].problem, /^The address space is limited to 205 GB/);
    }),
}));

Deno.test("doctor refuses a damaged model, and warns of one that the run does not use", () =>
  inFolder(async (folder) => {
    const commit = "0123456789abcdef0123456789abcdef01234567";
    const hub = join(folder, "home", "hub");
    const model = join(hub, "models--org--damaged", "snapshots", commit);
    await cp(embeddedModelFolder(), model, { recursive: true });
    await truncate(join(model, "vae", "diffusion_pytorch_model.safetensors"), 1000);
    const env = { HF_HOME: join(folder, "home") };
    assertOnly(
      await printed(startCliWith(folder, env, "doctor", "--json")),
      false,
      /^The model org\/damaged@0123.* cannot be used: .*safetensors/,
    );
    const chosen = await printed(startCliWith(folder, env, "doctor", "--json", "-m", model));
    assert.equal(chosen.status, 1);
    assert.match(chosen.report.findings[0]!.problem, /does not run: .*safetensors/);
  }));

Deno.test("doctor names the permissions that Deno does not grant", () =>
  inFolder(async (folder) => {
    const cli = fileURLToPath(new URL("../../cli.ts", import.meta.url));
    const run = async (...permissions: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-check", "--no-prompt", ...permissions, cli, "doctor"],
        cwd: folder,
        env: { PIXSTAGE_STORE: join(folder, "store") },
      }).output();
      return {
        code,
        stdout: new TextDecoder().decode(stdout),
        stderr: new TextDecoder().decode(stderr),
      };
    };
    const few = await run("--allow-env", "--allow-read");
    assert.equal(few.code, 1, few.stderr);
    assert.match(few.stdout, /PROBLEM: Deno does not grant --allow-ffi, which pixstage needs to load ONNX/);
    const most = await run("--allow-env", "--allow-read", "--allow-write", "--allow-ffi", "--allow-sys");
    assert.equal(most.code, 0, most.stderr);
    assert.match(most.stdout, /warning: Deno does not grant --allow-net, which pixstage needs to download/);
  }));
