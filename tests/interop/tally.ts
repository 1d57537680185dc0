/**
 * Counts the outcomes of a comparison and prints them.
 *
 * @module
 */

/** The outcome of one comparison. */
export interface Outcome {
  /** `equal`, the name of a known difference, or `DIFFERS`. */
  readonly rule: string;
  /** The largest deviation as a fraction of its limit, if values were compared. */
  readonly share?: number | undefined;
  /** The value with the largest deviation, or the difference. */
  readonly what?: string | undefined;
}

/** The rule of a result within its limits. */
export const EQUAL = "equal";
/** The rule of a result within five times the run's own noise floor. */
export const WITHIN_FLOOR = "equal within five noise floors of the run itself";
/** The rule of an unexplained difference. */
export const DIFFERS = "DIFFERS";

/** Counts outcomes by rule, and keeps unexplained ones. */
export class Tally {
  readonly #counts = new Map<string, number>();
  readonly #worst = new Map<string, { readonly share: number; readonly what: string }>();
  #unexplained = 0;

  /** Counts an outcome. An unexplained one is printed at once, with the command that repeats it. */
  add(group: string, { rule, share, what = "" }: Outcome, repeat: unknown): void {
    this.#counts.set(rule, (this.#counts.get(rule) ?? 0) + 1);
    if (rule === DIFFERS) {
      this.#unexplained++;
      print(
        `${DIFFERS} ${what} ${share === undefined ? "" : `share ${share.toPrecision(3)} `}${
          JSON.stringify(repeat)
        }`,
      );
    }
    if (
      (rule === EQUAL || rule === WITHIN_FLOOR) && share !== undefined &&
      share >= (this.#worst.get(group)?.share ?? 0)
    ) {
      this.#worst.set(group, { share, what: `${what} ${JSON.stringify(repeat)}` });
    }
  }

  /** Whether every difference is explained. */
  get isExplained(): boolean {
    return this.#unexplained === 0;
  }

  /** Prints the number of outcomes per rule, and the largest deviation of each group. */
  report(): void {
    const total = this.#counts.values().reduce((sum, count) => sum + count, 0);
    print(`compared ${total}`);
    for (const [rule, count] of [...this.#counts].sort(([, a], [, b]) => b - a)) print(`  ${count}  ${rule}`);
    print("largest deviation within the limits, as a fraction of the limit");
    for (const [group, { share, what }] of [...this.#worst].sort()) {
      print(`  ${share.toFixed(3)}  ${group}: ${what}`);
    }
  }
}

/** Prints a line. */
export function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
