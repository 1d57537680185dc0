/**
 * `doctor`: reports the state of this machine as an issue needs it, and what is wrong.
 *
 * @module
 */

import { Command } from "commander";
import { stdout } from "node:process";
import { PixstageError } from "../errors/pixstage_error.ts";
import { DEFAULT_MODEL } from "../hub/embedded_model.ts";
import { denoPermissions } from "../permissions/granted_permissions.ts";
import { describeFindings, permissionFindings } from "./doctor/permission_findings.ts";
import { pathOrName } from "./path_or_name.ts";
import { writeLine } from "./standard_streams.ts";
import { userPath } from "./user_path.ts";

interface DoctorOptions {
  readonly model: string;
  readonly cacheDir?: string;
  readonly json?: boolean;
}

/** Creates the `doctor` command. */
export function doctorCommand(): Command {
  return new Command("doctor")
    .description("Examines this machine: versions, devices, memory, folders, models, and what is wrong.")
    .option("-m, --model <dir|org/name>", "model that a run would use", DEFAULT_MODEL)
    .option("--cache-dir <dir>", "folder for downloads")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nThe exit status is 1 if something prevents a run. The output contains no token and no password.",
    )
    .action(doctor);
}

async function doctor(options: DoctorOptions): Promise<void> {
  const permissions = denoPermissions();
  const refused = permissionFindings(permissions ?? {}).filter(({ prevents }) => prevents);
  // Without these permissions, Deno does not load the modules that examine the rest.
  const examined = refused.length > 0
    ? { lines: [], report: { permissions }, found: refused }
    : await examine(options, permissions);
  const { lines, report, found } = examined;
  if (options.json) writeLine(stdout, JSON.stringify({ ...report, findings: found }));
  else for (const line of [...lines, ...describeFindings(found)]) writeLine(stdout, line);
  const [first] = found.filter(({ prevents }) => prevents);
  if (first) throw new PixstageError("machine_unfit", `pixstage cannot make pictures here: ${first.problem}`);
}

async function examine(
  { model, cacheDir }: DoctorOptions,
  permissions: ReturnType<typeof denoPermissions>,
) {
  const { machineReport } = await import("./doctor/report.ts");
  const { describeMachine } = await import("./doctor/describe.ts");
  const { findings } = await import("./doctor/findings.ts");
  const report = await machineReport({
    model: pathOrName(model),
    cacheDir: cacheDir === undefined ? undefined : userPath(cacheDir),
  }, permissions);
  return { lines: [...describeMachine(report), ""], report, found: findings(report) };
}
