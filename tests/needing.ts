/**
 * Tests that need something of the machine. Where it is missing they are ignored, and their name gives the reason.
 *
 * @module
 */

import { hasGolden } from "./goldens.ts";

/** Something that a machine may lack. */
export interface Need {
  /** Its name in the reason: `needs Linux`. */
  readonly what: string;
  /** Whether this machine has it. */
  readonly isThere: boolean;
}

/** The kernel's files under `/proc`, control groups, `/dev/full`. */
export const LINUX: Need = { what: "Linux", isThere: Deno.build.os === "linux" };
/** Links, FIFOs, signals and permissions. */
export const UNIX: Need = { what: "a Unix system", isThere: Deno.build.os !== "windows" };

/** A file or folder of the reference values that the repository does not carry. */
export function golden(path: string): Need {
  return { what: `the reference values ${path}`, isThere: hasGolden(path) };
}

/**
 * Defines a test that needs something.
 *
 * @param need What it needs.
 * @param test The test.
 * @returns The test, ignored under a name with the reason where the machine lacks what it needs.
 */
export function needing({ what, isThere }: Need, test: Deno.TestDefinition): Deno.TestDefinition {
  return isThere ? test : { ...test, name: `${test.name} (ignored: needs ${what})`, ignore: true };
}
