/**
 * Tests that need something from the machine. If a requirement is missing, the test is ignored, and its name
 * gives the reason.
 *
 * @module
 */

import { hasGolden } from "./goldens.ts";

/** A requirement that a machine may not meet. */
export interface Need {
  /** Name of the requirement in the reason: `needs Linux`. */
  readonly what: string;
  /** Whether this machine meets the requirement. */
  readonly isThere: boolean;
}

/** The kernel's files under `/proc`, control groups, `/dev/full`. */
export const LINUX: Need = { what: "Linux", isThere: Deno.build.os === "linux" };
/** Links, FIFOs, signals and permissions. */
export const UNIX: Need = { what: "a Unix system", isThere: Deno.build.os !== "windows" };

/** Returns the requirement of a file or folder of the reference values that may not be in the repository. */
export function golden(path: string): Need {
  return { what: `the reference values ${path}`, isThere: hasGolden(path) };
}

/**
 * Defines a test with a requirement.
 *
 * @param need The requirement.
 * @param test The test.
 * @returns The test. If the machine does not meet the requirement, the test is ignored, and its name gives
 * the reason.
 */
export function needing({ what, isThere }: Need, test: Deno.TestDefinition): Deno.TestDefinition {
  return isThere ? test : { ...test, name: `${test.name} (ignored: needs ${what})`, ignore: true };
}
