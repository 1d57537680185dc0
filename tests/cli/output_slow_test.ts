import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { lstat, mkdir, readFile, readlink, symlink } from "node:fs/promises";
import { join } from "node:path";
import {
  commandLine,
  inFolder,
  runCli,
  startCli,
  startUnprivileged,
  storeOf,
  TINY,
  UNPRIVILEGED_USER,
} from "./run_cli.ts";
import { needing, UNIX } from "../needing.ts";

const SMALL = ["-m", TINY, "-W", "64", "-H", "48", "--steps", "2", "--no-resolution-binning"];
const CAT = ["gen", "cute cat", ...SMALL];

/** Defines a test that needs a Unix system. */
function unixTest(name: string, test: (folder: string) => Promise<void>): void {
  Deno.test(needing(UNIX, { name, fn: () => inFolder(test) }));
}

/** Runs a command that must succeed. Returns the bytes of its standard output. */
async function stdoutOf(folder: string, ...args: string[]): Promise<{ bytes: Uint8Array; stderr: string }> {
  const { code, stdout, stderr } = await startCli(folder, ...args).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return { bytes: stdout, stderr: new TextDecoder().decode(stderr) };
}

/** Runs a program that must succeed. */
async function run(folder: string, program: string, ...args: string[]): Promise<Uint8Array> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args, cwd: folder }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return stdout;
}

unixTest("a symbolic link as output is followed to its target", async (folder) => {
  await stdoutOf(folder, ...CAT, "-o", "cat.png");
  const cat = await readFile(join(folder, "cat.png"));
  await mkdir(join(folder, "elsewhere"));
  await Deno.writeTextFile(join(folder, "elsewhere", "old.png"), "old");
  const links = {
    "to-file.png": "elsewhere/old.png",
    "to-link.png": "to-file.png",
    "to-none.png": "new.png",
  };
  for (const [link, target] of Object.entries(links)) {
    await symlink(target, join(folder, link));
    await stdoutOf(folder, ...CAT, "-o", link);
    assert.equal(await readlink(join(folder, link)), target);
    assert.deepEqual(await readFile(join(folder, target)), cat, link);
    if (link === "to-file.png") await Deno.writeTextFile(join(folder, "elsewhere", "old.png"), "old again");
  }
  await symlink("elsewhere/latents", join(folder, "latents.safetensors"));
  await stdoutOf(folder, ...CAT, "--until", "denoise", "--save-latents", "latents.safetensors");
  assert.ok((await lstat(join(folder, "elsewhere", "latents"))).isFile());
  const left = [...Deno.readDirSync(join(folder, "elsewhere"))].map(({ name }) => name).sort();
  assert.deepEqual(left, ["latents", "old.png"]);
});

unixTest("a pipe receives pictures one after another, and remains a pipe", async (folder) => {
  await stdoutOf(folder, ...CAT, "--seed", "1,2", "-o", "cat.png");
  const both = await Promise.all(["cat-000.png", "cat-001.png"].map((name) => readFile(join(folder, name))));
  await run(folder, "mkfifo", "pipe.png");
  const [read] = await Promise.all([
    run(folder, "cat", "pipe.png"),
    stdoutOf(folder, ...CAT, "--seed", "1,2", "-o", "pipe.png"),
  ]);
  assert.deepEqual(new Uint8Array(Buffer.concat(both)), read);
  assert.ok((await lstat(join(folder, "pipe.png"))).isFIFO());
});

unixTest("a device receives the output, and remains a device", async (folder) => {
  const made = await new Deno.Command("mknod", { args: [join(folder, "null.png"), "c", "1", "3"] }).output();
  // Only root can create a device.
  if (made.code !== 0) return;
  await stdoutOf(folder, ...CAT, "-o", "null.png", "--save-latents", "null.png");
  assert.ok((await lstat(join(folder, "null.png"))).isCharacterDevice());
});

unixTest("a file that a shell has opened keeps its content", async (folder) => {
  await stdoutOf(folder, ...CAT, "-o", "cat.png");
  const cat = await readFile(join(folder, "cat.png"));
  await Deno.writeTextFile(join(folder, "all"), "before");
  const { code } = await new Deno.Command("bash", {
    args: [
      "-c",
      'exec 5>>all; "$@"',
      "bash",
      ...commandLine(...CAT, "-o", "/dev/fd/5", "--output-format", "png"),
    ],
    cwd: folder,
    env: { PIXSTAGE_STORE: storeOf(folder) },
  }).output();
  assert.equal(code, 0);
  assert.deepEqual(await readFile(join(folder, "all")), Buffer.concat([Buffer.from("before"), cat]));
});

unixTest(
  "- and /dev/stdout mean the standard output, and paths of other files go to the standard error",
  async (folder) => {
    await stdoutOf(folder, ...CAT, "-o", "cat.png");
    const cat = new Uint8Array(await readFile(join(folder, "cat.png")));
    for (const name of ["-", "/dev/stdout"]) {
      const { bytes, stderr } = await stdoutOf(folder, ...CAT, "-o", name, "--save-latents", "l.safetensors");
      assert.deepEqual(bytes, cat);
      assert.equal(stderr, `${join(folder, "l.safetensors")}\n`);
    }
    const verbose = await stdoutOf(folder, ...CAT, "-o", "-", "--verbose");
    assert.deepEqual(verbose.bytes, cat);
    assert.match(verbose.stderr, /"type":"done"/);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "cat.png",
      "l.safetensors",
    ]);
  },
);

Deno.test("every command writes the same bytes to the standard output as to a file", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(
      join(folder, "graph.json"),
      JSON.stringify({
        pixstage: 1,
        nodes: {
          decode: {
            stage: "decode",
            parameters: { model: TINY },
            inputs: { latents: { file: "latents.safetensors" } },
          },
        },
      }),
    );
    const commands: readonly [file: string, args: readonly string[], option?: string][] = [
      ["embeds.safetensors", ["encode", "cute cat", "-m", TINY]],
      ["latents.safetensors", ["denoise", "embeds.safetensors", ...SMALL]],
      ["cat.webp", ["decode", "latents.safetensors", "-m", TINY, "--output-format", "webp"]],
      ["cat.png", ["resume", "latents.safetensors"]],
      ["again.png", ["rerun", "cat.png"]],
      ["run.png", ["run", "graph.json"], "--save=decode.image="],
      ["both.png", ["compare", "cute cat", "-m", TINY, "--set", "steps=2", "--a", "seed=1", "--b", "seed=2"]],
    ];
    for (const [file, args, option] of commands) {
      const output = (name: string) => option === undefined ? ["-o", name] : [option + name];
      await stdoutOf(folder, ...args, ...output(file));
      const { bytes, stderr } = await stdoutOf(folder, ...args, ...output("-"));
      assert.deepEqual(bytes, new Uint8Array(await readFile(join(folder, file))), args[0]);
      if (args[0] === "compare") assert.match(stderr, /^embeddings .*\nlatents .*\npictures /);
    }
    assert.ok(![...Deno.readDirSync(folder)].some(({ name }) => name === "-"));
  });
});

const TWICE: readonly (readonly string[])[] = [
  [...CAT, "-o", "-", "--json"],
  [...CAT, "-o", "-", "--save-latents", "/dev/stdout"],
  ["encode", "cat", "-m", TINY, "-o", "-", "--json"],
  ["compare", "cat", "--a", "seed=1", "--b", "seed=2", "-o", "-", "--json"],
];

for (const args of TWICE) {
  Deno.test(`the standard output accepts one result: ${args.filter((arg) => arg !== TINY).join(" ")}`, async () => {
    await inFolder(async (folder) => {
      const { status, stdout, stderr } = await runCli(folder, ...args);
      assert.equal(status, 2);
      assert.equal(stdout, "");
      assert.match(
        stderr,
        /^error: Cannot (?:print JSON|write two results).* the standard output.*give a file/,
      );
    });
  });
}

/** Commands whose inputs and model do not exist. The error must be about the output instead. */
const UNREAD: readonly (readonly [command: readonly string[], option: string])[] = [
  [["gen", "cat", "-m", "./nowhere"], "-o "],
  [["gen", "cat", "-m", "./nowhere", "-o", "cat.png"], "--save-latents "],
  [["gen", "cat", "-m", "./nowhere", "-o", "cat.png"], "--save-tensor "],
  [["encode", "cat", "-m", "./nowhere"], "-o "],
  [["denoise", "nothing.safetensors", "-m", "./nowhere"], "-o "],
  [["decode", "nothing.safetensors", "-m", "./nowhere"], "-o "],
  [["resume", "nothing.safetensors"], "-o "],
  [["rerun", "nothing.png"], "-o "],
  [["run", "nothing.json"], "--save decode.image="],
  [["compare", "cat", "-m", "./nowhere", "--a", "seed=1", "--b", "seed=2"], "-o "],
];

for (const [command, option] of UNREAD) {
  Deno.test(`an unwritable output is refused before anything is read: ${command[0]} ${option}`, async () => {
    await inFolder(async (folder) => {
      await Deno.writeTextFile(join(folder, "file"), "");
      await mkdir(join(folder, "folder.png"));
      for (
        const [name, reason] of [["file/x.png", "a part of the path is a file"], [
          "folder.png",
          "it is a folder",
        ]]
      ) {
        const { status, stderr } = await runCli(folder, ...command, ...`${option}${name}`.split(" "));
        assert.equal(status, 1, stderr);
        assert.match(stderr, new RegExp(`^error: Cannot write ".*${name}" because ${reason}`));
      }
    });
  });
}

Deno.test(needing(UNPRIVILEGED_USER, {
  name: "a read-only folder is refused before anything is read, and others receive no files",
  fn: () =>
    inFolder(async (folder) => {
      await mkdir(join(folder, "locked"), { mode: 0o555 });
      await symlink("locked/new.png", join(folder, "link.png"));
      const refused = async (where: string, ...args: string[]) => {
        const { code, stderr } = await startUnprivileged(where, ...args).output();
        assert.equal(code, 1);
        assert.match(
          new TextDecoder().decode(stderr),
          /^error: Cannot write ".*" because permission is missing/,
        );
      };
      for (const name of ["locked/cat.png", "locked/deeper/cat.png", "link.png"]) {
        await refused(folder, "gen", "cat", "-m", "./nowhere", "-o", name);
      }
      await refused(join(folder, "locked"), "gen", "cat", "-m", "./nowhere");
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["link.png", "locked"]);
    }),
}));
