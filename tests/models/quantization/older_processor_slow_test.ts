import assert from "node:assert/strict";
import { access } from "node:fs/promises";
import { z } from "zod";
import { needing } from "../../needing.ts";

const EMULATOR = "/usr/bin/qemu-x86_64";
const SCRIPT = new URL("./int8_error_main.ts", import.meta.url).pathname;
const Report = z.object({ overflows: z.boolean(), errors: z.array(z.number()) });

/** Runs the script with a command, and returns its report. */
async function run(command: string, ...args: string[]): Promise<z.infer<typeof Report>> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args, "run", "-A", SCRIPT],
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return Report.parse(JSON.parse(new TextDecoder().decode(stdout)));
}

const isThere = Deno.build.arch === "x86_64" && await access(EMULATOR).then(() => true, () => false);

Deno.test(needing({ what: "qemu-user on x86-64", isThere }, {
  name: "int8 is as exact on processors whose products of bytes overflow",
  fn: async () => {
    // QEMU's own processor has AVX2, but neither AVX-512 nor VNNI.
    const older = await run(EMULATOR, "-cpu", "max", Deno.execPath());
    const here = await run(Deno.execPath());
    assert(older.overflows);
    older.errors.forEach((error, index) => {
      const native = here.errors[index]!;
      assert(error > 0 && error < 1.1 * native, `relative error ${error}, here ${native}`);
    });
  },
}));
