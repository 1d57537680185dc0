import assert from "node:assert/strict";
import { z } from "zod";
import type { PixstageError } from "../../errors/pixstage_error.ts";
import { permissionError } from "../../errors/permission_error.ts";
import { toPixstageError } from "../../errors/foreign_error.ts";
import { FileError } from "../../disk/file_error.ts";
import {
  changedSet,
  PERMISSION_SETS,
  permissionFlags,
  permissionSet,
} from "../../permissions/permission_sets.ts";
import project from "../../deno.json" with { type: "json" };

const tasks = z.record(z.string(), z.looseObject({ command: z.string().optional() })).parse(project.tasks);

/**
 * Programs that may do everything: tests and benchmarks start, kill and limit other programs, and read all of
 * `/proc`.
 */
const UNLIMITED = /^deno test |\b(tests|bench)\//;

/** Commands that only check or that run other tasks. */
const WITHOUT_PROGRAM = /^deno (check|fmt|lint|task)\b/;

Deno.test("each task names the permissions of its program", () => {
  for (const [name, { command }] of Object.entries(tasks)) {
    if (command === undefined || UNLIMITED.test(command) || WITHOUT_PROGRAM.test(command)) continue;
    assert.doesNotMatch(command, /\s(-A|--allow-all)\b/, name);
    const set = /\$\(deno run -q cli\/permissions\.ts (\w+)/.exec(command)?.[1];
    if (set === undefined) assert.match(command, / --allow-/, name);
    else assert((PERMISSION_SETS as readonly string[]).includes(set), `${name}: ${set}`);
  }
});

Deno.test("the task of each command takes further permissions from the environment", () => {
  for (const [name, { command = "" }] of Object.entries(tasks)) {
    if (/ (cli|server)\.ts\b/.test(command)) assert.match(command, /\$PIXSTAGE_PERMISSIONS\)/, name);
  }
});

Deno.test("no set allows everything, none but those of pictures and tools starts Deno, and none prompts", () => {
  for (const name of PERMISSION_SETS) {
    const set = permissionSet(name);
    const flags = permissionFlags(set);
    assert(flags.includes("--no-prompt"));
    assert(
      flags.every((flag) =>
        !["-A", "--allow-all", "--allow-run", "--allow-env", "--allow-sys"].includes(flag)
      ),
      name,
    );
    const startsDeno = Array.isArray(set.run) && set.run.includes(Deno.execPath());
    assert.equal(startsDeno, name === "pictures" || name === "tool", name);
  }
});

Deno.test("flags narrow what is open, widen what is limited, and open a kind if they have no values", () => {
  const set = { read: true, env: ["A"], run: ["deno"] } as const;
  const changed = (...flags: string[]) => permissionFlags(changedSet(set, flags).set).join(" ");
  assert.equal(changed(), "--no-prompt --allow-read --allow-env=A --allow-run=deno --ignore-env");
  assert.match(changed("--allow-read=/a", "--allow-read=/b,/c"), / --allow-read=\/a,\/b,\/c /);
  assert.match(changed("--allow-env=B", "--allow-run=ffmpeg"), /--allow-env=A,B --allow-run=deno,ffmpeg/);
  assert.equal(changed("--allow-env"), "--no-prompt --allow-read --allow-env --allow-run=deno");
  assert.match(changed("--allow-net=example.com"), /--allow-net=example\.com/);
  assert.match(changed("-A"), /--allow-env --allow-run --allow-write --allow-net --allow-sys --allow-ffi$/);
  assert.deepEqual(changedSet(set, ["--deny-net", "--allow-import=example.com"]).others, [
    "--deny-net",
    "--allow-import=example.com",
  ]);
});

Deno.test("a refusal by Deno names the flag that is missing", () => {
  const refused = (message: string) =>
    permissionError(new TypeError("failed", { cause: new Error(message) }))?.message;
  assert.equal(
    refused('Requires read access to "/a b", run again with the --allow-read flag'),
    'Deno does not permit read access to "/a b". To permit it, add --allow-read=/a b to the flags of deno run, or to ' +
      "PIXSTAGE_PERMISSIONS for a task",
  );
  assert.match(
    refused("Requires run access, run again with the --allow-run flag")!,
    /run access\. .* add --allow-run to/,
  );
  assert.match(
    refused('Requires all access to "/dev/stdin", run again with the --allow-all flag')!,
    /\/dev\/stdin.*Name another file/,
  );
  assert.equal(refused("Requires patience"), undefined);
  const denied = new Error('Requires write access to "/b/.partial", run again with the --allow-write flag');
  assert.equal(toPixstageError(denied).code, "not_permitted");
  const error: PixstageError = new FileError("write", "/a", "", { cause: denied });
  assert.equal(error.code, "not_permitted");
  assert.match(error.message, /^Cannot write "\/a" because Deno does not permit write access to "\/b"\./);
});
