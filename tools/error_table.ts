/**
 * Writes the table of all error codes into docs/errors.md.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import { ERROR_CODES, EXIT_STATUSES } from "../errors/error_codes.ts";

const BEGIN = "<!-- The table is generated: deno task docs:errors -->";

/** The document that ends with the table. */
export const ERROR_DOCUMENT: URL = new URL("../docs/errors.md", import.meta.url);

/** Returns the document with the table of the current codes. */
export function withErrorTable(document: string): string {
  const rows = [
    ["code", "fault", "exit", "HTTP", "meaning"],
    ...Object.entries(ERROR_CODES).map(([code, { fault, status, meaning }]) => [
      `\`${code}\``,
      fault,
      String(EXIT_STATUSES[fault]),
      String(status),
      meaning,
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  const [head, ...body] = rows;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  const table = [line(head!), rule, ...body.map(line)].join("\n");
  const [prose] = document.split(BEGIN);
  return `${prose}${BEGIN}\n\n${table}\n`;
}

if (import.meta.main) {
  writeFileSync(ERROR_DOCUMENT, withErrorTable(readFileSync(ERROR_DOCUMENT, "utf8")));
}
