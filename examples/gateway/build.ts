/**
 * Bundles the gateway and the description of its models into one module.
 *
 *     deno run $(deno run -q cli/permissions.ts tool) examples/gateway/build.ts \
 *       [--model name=folder]... [--lora name=folder]... [--out worker.js]
 *
 * The default is the embedded model with its LoRA.
 *
 * @module
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { DEFAULT_MODEL, EMBEDDED_LORAS } from "../../hub/embedded_model.ts";
import type { ModelEntry } from "../../hub/listed_models.ts";
import { permittedEnvironment } from "../../permissions/permission_sets.ts";
import { catalogueOf } from "./describe_models.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/**
 * Builds a gateway.
 *
 * @param out Path of the module to write.
 * @param models The models of the server behind the gateway.
 * @param loras The LoRAs that requests may name.
 */
export async function buildGateway(
  out: string,
  models: readonly ModelEntry[],
  loras: readonly ModelEntry[],
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "pixstage-gateway-"));
  try {
    await writeFile(join(folder, "catalogue.json"), JSON.stringify(await catalogueOf(models, loras)));
    const worker = pathToFileURL(join(HERE, "worker.ts")).href;
    const entry = join(folder, "entry.ts");
    await writeFile(
      entry,
      `import catalogue from "./catalogue.json" with { type: "json" };
      import { gatewayWorker } from "${worker}";
      export default gatewayWorker(catalogue);\n`,
    );
    const args = ["bundle", "--quiet", "--no-lock", "--minify", "--config", join(HERE, "../../deno.json")];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...args, "--output", resolve(out), entry],
      cwd: HERE,
      clearEnv: true,
      env: permittedEnvironment(),
    }).output();
    if (!success) throw new Error(`Cannot build the gateway: ${new TextDecoder().decode(stderr)}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function entryOf(text: string): ModelEntry {
  const at = text.indexOf("=");
  return at < 0
    ? { name: text, reference: text }
    : { name: text.slice(0, at), reference: text.slice(at + 1) };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      model: { type: "string", multiple: true, default: [DEFAULT_MODEL] },
      lora: { type: "string", multiple: true, default: [...EMBEDDED_LORAS] },
      out: { type: "string", default: join(HERE, "worker.js") },
    },
  });
  await buildGateway(values.out, values.model.map(entryOf), values.lora.map(entryOf));
}
