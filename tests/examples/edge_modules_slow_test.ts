import assert from "node:assert/strict";
import { join } from "node:path";
import { inFolder } from "../cli/run_cli.ts";
import { needing } from "../needing.ts";
import { ROOT } from "../server/server_process.ts";
import { WORKERD, Workerd } from "./workerd.ts";

/** Returns the files marked as edge-safe, from `deno task check:edge`. */
async function edgeModules(): Promise<string[]> {
  const listed = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "tools/check_edge.ts", "--list"],
    cwd: ROOT,
  }).output();
  return new TextDecoder().decode(listed.stdout).trim().split("\n");
}

Deno.test(needing(WORKERD, {
  name: "all edge-safe modules load in workerd without Node's modules",
  async fn() {
    const modules = await edgeModules();
    assert.ok(modules.length > 200, String(modules.length));
    await inFolder(async (folder) => {
      const imports = modules.map((path, index) =>
        `import * as m${index} from "file://${join(ROOT, path)}";`
      );
      const entry = join(folder, "entry.ts");
      await Deno.writeTextFile(
        entry,
        `${imports.join("\n")}
        const all = [${modules.map((_, index) => `m${index}`).join(", ")}];
        export default {
          fetch: () => Response.json({ modules: all.length, values: all.flatMap((one) => Object.values(one)).length }),
        };\n`,
      );
      const args = ["bundle", "--quiet", "--no-lock", "--platform", "browser"];
      const { success, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [...args, "--config", join(ROOT, "deno.json"), "--output", join(folder, "worker.js"), entry],
        cwd: ROOT,
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      await using worker = await Workerd.start({ folder, module: "worker.js", nodeModules: false });
      const loaded = await (await fetch(worker.url)).json();
      assert.equal(loaded.modules, modules.length);
      assert.ok(loaded.values > modules.length, String(loaded.values));
    });
  },
}));
